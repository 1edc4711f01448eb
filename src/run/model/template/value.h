// The values that a template computes with: Python's, as far as Jinja shows them.
//
// Strings are shared and given back when the last reader goes. Containers live in the Heap until the render
// ends, so that a list which contains itself is harmless.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/status.h"

namespace varve::jinja {

class Run;
class Value;
struct List;
struct Dict;
class Thing;

// The bytes that a render holds. A literal of the template and a string of the input are not counted.
struct Booked {
  int64_t bytes = 0;
};

class Text {  // immutable
 public:
  explicit Text(std::string owned, Booked* booked = nullptr)
      : owned_(std::move(owned)), view_(owned_), booked_(booked) {}
  struct Borrow {};
  Text(Borrow, std::string_view outlives) : view_(outlives) {}
  Text(const Text&) = delete;
  ~Text() {
    if (booked_ != nullptr) booked_->bytes -= cost(view_.size());
  }
  std::string_view view() const { return view_; }
  static int64_t cost(size_t bytes) { return int64_t(bytes) + 96; }

 private:
  std::string owned_;
  std::string_view view_;
  Booked* booked_ = nullptr;
};
using Str = std::shared_ptr<const Text>;
inline Str literal(std::string text) {
  return std::make_shared<Text>(std::move(text));
}

struct Undefined {
  const Text* name = nullptr;   // of the template; what was asked for
  const char* owner = nullptr;  // type of the value that lacked it; null for a variable
};
struct None {};

class Value {
 public:
  Value() = default;  // undefined
  Value(Undefined u) : held_(u) {}
  Value(None n) : held_(n) {}
  Value(bool b) : held_(b) {}
  Value(const char*) = delete;  // would become a bool
  Value(int64_t i) : held_(i) {}
  Value(double d) : held_(d) {}
  Value(Str s) : held_(std::move(s)) {}
  Value(List* l) : held_(l) {}
  Value(Dict* d) : held_(d) {}
  Value(Thing* t) : held_(t) {}

  template <class T>
  const T* as() const {
    return std::get_if<T>(&held_);
  }
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(held_);
  }
  bool undefined() const { return is<Undefined>(); }
  bool none() const { return is<None>(); }
  bool text() const { return is<Str>(); }
  std::string_view view() const { return text() ? std::get<Str>(held_)->view() : std::string_view(); }
  List* list() const { return is<List*>() ? std::get<List*>(held_) : nullptr; }
  Dict* dict() const { return is<Dict*>() ? std::get<Dict*>(held_) : nullptr; }
  Thing* thing() const { return is<Thing*>() ? std::get<Thing*>(held_) : nullptr; }
  bool integral() const { return is<int64_t>() || is<bool>(); }  // as in Python, a bool counts as 0 or 1
  bool number() const { return integral() || is<double>(); }
  int64_t integer() const { return is<bool>() ? int64_t(std::get<bool>(held_)) : std::get<int64_t>(held_); }
  double real() const { return is<double>() ? std::get<double>(held_) : double(integer()); }

 private:
  std::variant<Undefined, None, bool, int64_t, double, Str, List*, Dict*, Thing*> held_;
};

struct List {
  enum Kind : uint8_t { list, tuple, stream, keys, values, items };
  Kind kind = list;  // a stream (Python's generator) is empty once it was walked
  std::vector<Value> items_of;
  explicit List(std::vector<Value> v, Kind k = list) : kind(k), items_of(std::move(v)) {}
  size_t size() const { return items_of.size(); }
};

struct Dict {  // in the order of insertion
  struct Entry {
    Value key, value;
  };
  std::vector<Entry> entries;
  std::unordered_multimap<size_t, uint32_t> index;  // only once it is large
};

struct Args {  // of one call, as written
  std::vector<Value> by_position;
  std::vector<std::pair<Str, Value>> by_name;
};

// What is no plain value: a macro, a bound method, a loop, a namespace.
class Thing {
 public:
  virtual ~Thing() = default;
  virtual const char* type() const = 0;
  virtual Value attribute(Run&, std::string_view) { return Undefined{}; }
  virtual bool callable() const { return false; }
  virtual Result<Value> call(Run& run, Args args);
};

const char* type_name(const Value& value);           // Python's: "str", "NoneType", "list"
std::string undefined_text(const Value& undefined);  // why it cannot be used
bool truthy(const Value& value);
Result<bool> equal(Run& run, const Value& a, const Value& b, int depth = 0);
// Negative, zero or positive. invalid when Python cannot order the two.
Result<int> compare(Run& run, const Value& a, const Value& b, const char* op = "<", int depth = 0);
Result<bool> contains(Run& run, const Value& in, const Value& what);

// Null when absent. invalid: a key that Python cannot hash.
Result<Value*> dict_find(Run& run, Dict& dict, const Value& key);
Value* dict_find(const Dict& dict, std::string_view key);
Status dict_set(Run& run, Dict& dict, const Value& key, Value value);
Result<Value> dict_take(Run& run, Dict& dict, const Value& key);  // undefined when absent

constexpr int kNesting = 128;  // of values, where one is compared, printed or hashed

}  // namespace varve::jinja
