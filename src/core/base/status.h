// Status: how a function says that the world, not the programmer, went wrong.
//
// A Status is one word: null means ok. A Result<T> holds a T or a Status that is not ok.
// Both are [[nodiscard]]. Varve throws nothing; TRY() passes an error up, with() adds where it passed.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace varve {

// What the caller can do about it. One code, one reaction (see docs/decisions/0002-errors.md).
enum class Code : unsigned char {
  ok,
  invalid,      // fix the request; retrying is useless
  not_found,    // no such model, cube, session
  exists,       // a create lost the race
  denied,       // the principal may not
  over_budget,  // the ledger refused; free something or ask for less
  corrupt,      // bytes on disk or wire are not what they claim
  unsupported,  // valid, but this build or model cannot
  conflict,     // the version moved; reread and retry
  cancelled,    // the caller asked to stop
  io,           // the operating system refused
  internal,     // a bug in Varve; report it
};

std::string_view to_string(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  // __builtin_FILE and not std::source_location: clang 14, which builds the fuzzers, lacks the latter.
  Status(Code code, std::string message, const char* file = __builtin_FILE(), int line = __builtin_LINE())
      : error_(std::make_unique<Error>(Error{code, std::move(message), file, line})) {}

  bool ok() const { return error_ == nullptr; }
  Code code() const { return ok() ? Code::ok : error_->code; }
  std::string_view message() const { return ok() ? std::string_view("ok") : error_->message; }
  std::string text() const;  // "corrupt: bad magic (format/gguf.cc:41) < loading base model"

  // Adds what was being attempted: `return load(path).with("loading the base model");`
  Status with(std::string_view doing) &&;

  // Drops an error on purpose, and says why. tools/check_shape.py lists every use.
  void ignore(const char* /*why*/) const {}

  // So that TRY works on a Status and a Result alike.
  Status status() && { return std::move(*this); }
  void value() && {}

 private:
  struct Error {
    Code code;
    std::string message;
    const char* file;
    int line;
  };
  std::unique_ptr<Error> error_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Status error) : held_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return held_.index() == 0; }
  const T& operator*() const { return std::get<0>(held_); }
  T& operator*() { return std::get<0>(held_); }
  T* operator->() { return &std::get<0>(held_); }
  T value() && { return std::get<0>(std::move(held_)); }
  Status status() && { return ok() ? Status() : std::get<1>(std::move(held_)); }
  Code code() const { return ok() ? Code::ok : std::get<1>(held_).code(); }
  Result with(std::string_view doing) && {
    return ok() ? std::move(*this) : Result(std::move(*this).status().with(doing));
  }

 private:
  std::variant<T, Status> held_;
};

// auto file = TRY(open(path));   TRY(file.sync());
#define TRY(expr) VARVE_TRY_(VARVE_CONCAT_(try_result_, __COUNTER__), expr)
#define VARVE_CONCAT_(a, b) VARVE_CONCAT2_(a, b)
#define VARVE_CONCAT2_(a, b) a##b
#define VARVE_TRY_(r, expr)                    \
  __extension__({                              \
    auto r = (expr);                           \
    if (!r.ok()) return std::move(r).status(); \
    std::move(r).value();                      \
  })

}  // namespace varve
