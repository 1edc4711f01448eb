// Status: how a function says that the world, not the programmer, went wrong.
//
// A Status is one word: null means ok. A Result<T> holds a T or a Status that is not ok.
// Both are [[nodiscard]]. Varve throws nothing; TRY() passes an error up, with() adds where it passed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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

// The value and the Status lie side by side, not in a variant: GCC 12 cannot follow overlapping storage and
// warns of accesses that never happen.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status error) : status_(std::move(error)) {}

  bool ok() const { return value_.has_value(); }
  const T& operator*() const { return *value_; }
  T& operator*() { return *value_; }
  const T* operator->() const { return &*value_; }
  T* operator->() { return &*value_; }
  T value() && { return *std::move(value_); }
  Status status() && { return std::move(status_); }
  Code code() const { return ok() ? Code::ok : status_.code(); }
  Result with(std::string_view doing) && {
    return ok() ? std::move(*this) : Result(std::move(status_).with(doing));
  }

 private:
  std::optional<T> value_;
  Status status_;  // ok exactly when there is a value
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
