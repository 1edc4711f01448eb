// Builtin: a filter, a test, a method or a function. One table for each; a row names the parameters.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "run/model/template/run.h"
#include "run/model/template/value.h"

namespace varve::jinja {

enum class Op : uint8_t;

// Arguments in the order of the parameters; undefined where left out.
struct Bound {
  std::vector<Value> slots;
  std::vector<Value> rest;                   // for "*"
  std::vector<std::pair<Str, Value>> named;  // for "**"
  const Value& operator[](size_t i) const { return slots[i]; }
  bool has(size_t i) const { return !slots[i].undefined(); }
};

struct Builtin {
  std::string_view name;
  std::string_view
      parameters;  // "old new count?": '?' may be left out, '*' takes more, '**' takes named ones
  Result<Value> (*run)(Run& run, const Value& self, Bound& args);
};
using Table = std::span<const Builtin>;

Table text_filters();
Table value_filters();
Table list_filters();
Table tests();
Table functions();
Table text_methods();
Table list_methods();
Table dict_methods();
const Builtin* find_builtin(Table table, std::string_view name);
const Builtin* find_filter(std::string_view name);
// The method of that name on the value, or null.
const Builtin* find_method(const Value& self, std::string_view name);

Result<Value> invoke(Run& run, const Builtin& builtin, const Value& self, Args args);
Result<Value> invoke(Run& run, const Builtin& builtin, const Value& self, std::vector<Value> args);
// A method or function as a value.
Result<Value> bind(Run& run, const Builtin& builtin, const Value& self);

// What a builtin asks of its arguments; the errors name `what`.
Result<std::string_view> want_text(Run& run, const Value& value, std::string_view what);
Result<int64_t> want_integer(Run& run, const Value& value, std::string_view what);
// `text` of a string, else what Python's str() gives, kept alive in `held`.
Result<std::string_view> soft_text(Run& run, const Value& value, std::string& held);

// a.b and a[b]: undefined when absent.
Result<Value> get_attribute(Run& run, const Value& of, const Str& name);
Result<Value> get_item(Run& run, const Value& of, const Value& key);
Result<Value> get_slice(Run& run, const Value& of, const Value& from, const Value& to, const Value& step);
// "a.b.0", as map(attribute=...) takes it.
Result<Value> get_path(Run& run, const Value& of, const Value& path);

Result<Value> arithmetic(Run& run, Op op, const Value& a, const Value& b);
Result<Value> brace_format(Run& run, const Value& format, Bound& args);  // '{} {name:>8}'.format(...)
Result<Value> percent_format(Run& run, std::string_view format, const Value& values);

}  // namespace varve::jinja
