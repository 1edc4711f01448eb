// '%s is %d' % (a, b): the conversions s r d i f e g x o and %, with flags, width and precision.
#include <algorithm>
#include <cstdio>

#include "run/model/template/builtin/builtin.h"
#include "run/model/template/print.h"
#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

constexpr int64_t kWidest = 10000;

struct Conversion {
  bool left = false, zero = false, plus = false, space = false, alternate = false;
  int64_t width = 0, precision = -1;
  char kind = 's';
};

class Formatter {
 public:
  Formatter(Run& run, std::string_view format, const Value& values) : run_(run), format_(format) {
    if (const List* l = values.list(); l != nullptr && l->kind == List::tuple) {
      values_ = l->items_of;
    } else {
      values_ = {values};
      named_ = values.dict();
    }
  }

  Result<Value> run() {
    std::string out;
    while (at_ < format_.size()) {
      const size_t percent = std::min(format_.find('%', at_), format_.size());
      out.append(format_.substr(at_, percent - at_));
      at_ = percent;
      if (at_ < format_.size()) TRY(one(out));
      TRY(run_.spend(1));
      TRY(run_.room_for(int64_t(out.size())));
    }
    if (named_ == nullptr && used_ < values_.size()) {
      return run_.fail("not all arguments converted during string formatting");
    }
    return run_.text(std::move(out));
  }

 private:
  char peek() const { return at_ < format_.size() ? format_[at_] : 0; }

  Result<int64_t> number() {
    if (peek() == '*') {
      ++at_;
      return std::clamp(TRY(want_integer(run_, TRY(next_value()), "a width")), int64_t(0), kWidest);
    }
    int64_t value = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) value = std::min(value * 10 + (peek() - '0'), kWidest);
    return value;
  }

  Result<Value> next_value() {
    if (used_ >= values_.size()) return run_.fail("not enough arguments for format string");
    return values_[used_++];
  }

  Status one(std::string& out) {
    ++at_;
    Value value;
    bool named = false;
    if (peek() == '(') {
      const size_t close = format_.find(')', at_);
      if (close == format_.npos || named_ == nullptr) return run_.fail("format requires a mapping");
      const Value* found = dict_find(*named_, format_.substr(at_ + 1, close - at_ - 1));
      if (found == nullptr) return run_.fail("the format names a key that is absent");
      value = *found;
      named = true;
      at_ = close + 1;
    }
    Conversion c;
    for (; std::string_view("-0+ #").find(peek()) != std::string_view::npos && peek() != 0; ++at_) {
      c.left |= peek() == '-';
      c.zero |= peek() == '0';
      c.plus |= peek() == '+';
      c.space |= peek() == ' ';
      c.alternate |= peek() == '#';
    }
    c.width = TRY(number());
    if (peek() == '.') {
      ++at_;
      c.precision = TRY(number());
    }
    if (at_ >= format_.size()) return run_.fail("incomplete format");
    c.kind = format_[at_++];
    if (c.kind == '%') {
      out.push_back('%');
      return {};
    }
    if (!named) value = TRY(next_value());
    return convert(out, c, value);
  }

  Status convert(std::string& out, const Conversion& c, const Value& value) {
    std::string text;
    if (c.kind == 's' || c.kind == 'r') {
      TRY(c.kind == 's' ? append_text(run_, text, value) : append_repr(run_, text, value));
      if (c.precision >= 0) text.resize(byte_offset(text, size_t(c.precision)));
    } else if (std::string_view("dixXoeEfFgG").find(c.kind) != std::string_view::npos) {
      const bool whole = std::string_view("xXo").find(c.kind) != std::string_view::npos;
      if (!value.number() || (whole && !value.integral())) {
        return run_.fail(std::string("%") + c.kind + " format: a number is required, not " +
                         type_name(value));
      }
      text = number_text(c, value);
    } else {
      return run_.fail(std::string("unsupported format character '") + c.kind + "'");
    }
    pad(out, c, text);
    return {};
  }

  static std::string number_text(const Conversion& c, const Value& value) {
    const std::string flags = std::string(c.plus ? "+" : c.space ? " " : "") + (c.alternate ? "#" : "");
    const int precision = int(std::min<int64_t>(c.precision, 100));
    char text[512];
    const std::string_view whole = "dixXo";
    if (whole.find(c.kind) != whole.npos) {
      const double real = value.real();
      const bool fits = value.integral() || (real > -9.2e18 && real < 9.2e18);
      const long long i = value.integral() ? value.integer() : fits ? int64_t(real) : 0;
      const std::string format = "%" + flags + ".*ll" + c.kind;
      std::snprintf(text, sizeof(text), format.c_str(), std::max(precision, 1), i);
    } else {
      const std::string format = "%" + flags + ".*" + c.kind;
      std::snprintf(text, sizeof(text), format.c_str(), precision < 0 ? 6 : precision, value.real());
    }
    return text;
  }

  static void pad(std::string& out, const Conversion& c, const std::string& text) {
    const int64_t missing = c.width - int64_t(count_chars(text));
    const std::string blanks(size_t(std::max<int64_t>(missing, 0)), ' ');
    if (c.left) {
      out.append(text).append(blanks);
    } else if (c.zero && c.kind != 's' && c.kind != 'r') {
      const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ');
      out.append(text, 0, sign).append(blanks.size(), '0').append(text, sign);
    } else {
      out.append(blanks).append(text);
    }
  }

  Run& run_;
  std::string_view format_;
  std::vector<Value> values_;
  const Dict* named_ = nullptr;
  size_t at_ = 0, used_ = 0;
};

}  // namespace

Result<Value> percent_format(Run& run, std::string_view format, const Value& values) {
  return Formatter(run, format, values).run();
}

}  // namespace varve::jinja
