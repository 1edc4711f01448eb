// Run: one render in progress: its limits, what it has allocated and what it has written.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "run/model/template/value.h"

namespace varve::jinja {

// A million steps: a step is a statement, a turn of a loop, eight nodes of an expression or 512 bytes looked
// at.
constexpr int64_t kTicks = 8'000'000;
constexpr int64_t kTicksPerStep = 8;
constexpr int64_t kBytes = 64 << 20;  // values alive and output together
constexpr int64_t kRange = 100000;    // longest range()
constexpr int kDepth = 400;           // statements, expressions and macros inside one another

struct Scope {
  std::shared_ptr<Scope> parent;
  std::unordered_map<std::string_view, Value> variables;  // the keys lie in the template
};
using ScopePtr = std::shared_ptr<Scope>;

class Run {
 public:
  explicit Run(TimeMs time) : now(time) {}
  Run(const Run&) = delete;

  Status fail(std::string_view what) const;  // invalid, with the line
  Status spend(int64_t ticks);
  Status touch(size_t bytes) { return spend(int64_t(bytes / 64)); }  // work that grows with the text
  Status book(int64_t bytes);
  Status room_for(int64_t bytes) const;

  Result<Value> text(std::string bytes);
  Result<Value> text(std::string_view bytes) { return text(std::string(bytes)); }
  Result<Value> text(const char* bytes) { return text(std::string(bytes)); }
  Value borrow(std::string_view outlives) { return Str(std::make_shared<Text>(Text::Borrow{}, outlives)); }
  Result<List*> list(std::vector<Value> items, List::Kind kind = List::list);
  Result<Dict*> dict();
  Result<Value> thing(std::unique_ptr<Thing> thing, int64_t extra_bytes = 0);
  // What a for loop walks. Lists are walked in place, a stream is emptied, anything else is listed.
  Result<List*> iterate(const Value& value);

  Status write(std::string_view bytes);
  std::string take_output(std::string before);  // ends a capture: gives what was written since

  const TimeMs now;
  int line = 0;
  int depth = 0;
  std::string out;

 private:
  int64_t ticks_ = kTicks;
  Booked booked_;  // before the owners, which give back to it
  std::vector<std::unique_ptr<List>> lists_;
  std::vector<std::unique_ptr<Dict>> dicts_;
  std::vector<std::unique_ptr<Thing>> things_;
};

// Counts one level of nesting while it lives; ask ok() before going on.
class Deeper {
 public:
  explicit Deeper(Run& run) : run_(run) { ++run_.depth; }
  ~Deeper() { --run_.depth; }
  bool ok() const { return run_.depth <= kDepth; }

 private:
  Run& run_;
};

}  // namespace varve::jinja
