// Filters on single values: defaults, numbers, and the first or last of several.
#include <charconv>
#include <cmath>
#include <cstdio>

#include "run/model/template/builtin/builtin.h"
#include "run/model/template/print.h"
#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

Result<Value> or_default(Run& run, const Value& self, Bound& args) {
  if (!self.undefined() && !(truthy(args[1]) && !truthy(self))) return self;
  return args.has(0) ? args[0] : TRY(run.text(""));
}

Result<Value> length(Run& run, const Value& self, Bound&) {
  if (self.undefined()) return Value(int64_t(0));
  if (self.text()) {
    TRY(run.touch(self.view().size()));
    return Value(int64_t(count_chars(self.view())));
  }
  if (self.dict() != nullptr) return Value(int64_t(self.dict()->entries.size()));
  if (self.list() != nullptr && self.list()->kind != List::stream) return Value(int64_t(self.list()->size()));
  return run.fail(std::string("object of type '") + type_name(self) + "' has no len()");
}

// A decimal number as Python's int() and float() read it: white space around, underscores between digits.
bool read_number(std::string_view text, int base, int64_t* whole, double* real) {
  std::string digits;
  text = strip(text);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool between =
        text[i] == '_' && i > 0 && i + 1 < text.size() && text[i - 1] != '_' && text[i + 1] != '_';
    if (!between) digits.push_back(text[i]);
  }
  const bool signed_plus = digits.size() > 1 && digits[0] == '+' && digits[1] != '-';
  const char *begin = digits.data() + signed_plus, *end = digits.data() + digits.size();
  const auto read =
      whole != nullptr ? std::from_chars(begin, end, *whole, base) : std::from_chars(begin, end, *real);
  return read.ec == std::errc() && read.ptr == end;
}

Result<Value> to_int(Run& run, const Value& self, Bound& args) {
  if (self.undefined()) return run.fail(undefined_text(self));
  const Value otherwise = args.has(0) ? args[0] : Value(int64_t(0));
  const int64_t base = args.has(1) ? TRY(want_integer(run, args[1], "the base")) : 10;
  if (base < 2 || base > 36) return run.fail("int: the base is from 2 to 36");
  if (self.integral()) return Value(self.integer());
  int64_t whole = 0;
  double real = 0;
  if (self.is<double>()) {
    real = self.real();
  } else if (!self.text()) {
    return otherwise;
  } else {
    std::string_view digits = strip(self.view());
    const char mark = digits.size() > 2 && digits[0] == '0' ? char(digits[1] | 32) : ' ';
    if ((mark == 'x' && base == 16) || (mark == 'o' && base == 8) || (mark == 'b' && base == 2))
      digits.remove_prefix(2);
    if (read_number(digits, int(base), &whole, nullptr)) return Value(whole);
    if (!read_number(self.view(), 10, nullptr, &real)) return otherwise;
  }
  return std::fabs(real) < 9.2e18 ? Value(int64_t(real)) : otherwise;
}

Result<Value> to_float(Run& run, const Value& self, Bound& args) {
  if (self.undefined()) return run.fail(undefined_text(self));
  double real = 0;
  if (self.number()) return Value(self.real());
  if (self.text() && read_number(self.view(), 10, nullptr, &real)) return Value(real);
  return args.has(0) ? args[0] : Value(0.0);
}

Result<Value> absolute(Run& run, const Value& self, Bound&) {
  if (self.is<double>()) return Value(std::fabs(self.real()));
  if (self.integral() && self.integer() != INT64_MIN) return Value(std::abs(self.integer()));
  return run.fail(std::string("bad operand type for abs(): '") + type_name(self) + "'");
}

// As Python: to even when exactly between, judged on the exact binary value.
double round_half_even(double value, int64_t digits) {
  if (!std::isfinite(value)) return value;
  if (digits < 0) {
    const double unit = std::pow(10.0, double(-digits));
    return std::isinf(unit) ? 0.0 : std::nearbyint(value / unit) * unit;
  }
  char text[400];
  std::snprintf(text, sizeof(text), "%.*f", int(std::min<int64_t>(digits, 30)), value);
  double out = value;
  std::from_chars(text, text + sizeof(text), out);
  return out;
}

Result<Value> rounded(Run& run, const Value& self, Bound& args) {
  if (!self.number()) return run.fail(std::string("type ") + type_name(self) + " cannot be rounded");
  const int64_t digits = args.has(0) ? TRY(want_integer(run, args[0], "the precision")) : 0;
  const std::string_view how = args.has(1) ? TRY(want_text(run, args[1], "the method")) : "common";
  if (how == "common") {
    if (self.integral() && digits >= 0) return Value(self.integer());
    const double value = round_half_even(self.real(), digits);
    return self.integral() ? Value(int64_t(value)) : Value(value);
  }
  if (how != "ceil" && how != "floor") return run.fail("round: the method is common, ceil or floor");
  const double scale = std::pow(10.0, double(digits));
  const double scaled = self.real() * scale;
  return Value((how == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Result<Value> first(Run& run, const Value& self, Bound&) {
  if (self.text()) return get_item(run, self, Value(int64_t(0)));
  const List* items = TRY(run.iterate(self));
  return items->size() > 0 ? items->items_of[0] : Value();
}

Result<Value> last(Run& run, const Value& self, Bound&) {
  if (self.text()) return get_item(run, self, Value(int64_t(-1)));
  if (self.list() != nullptr && self.list()->kind == List::stream)
    return run.fail("'generator' object is not reversible");
  const List* items = TRY(run.iterate(self));
  return items->size() > 0 ? items->items_of.back() : Value();
}

Result<Value> attribute(Run& run, const Value& self, Bound& args) {
  if (!args[0].text()) return run.fail("attr: the name must be a string");
  Value value = TRY(get_attribute(run, self, *args[0].as<Str>()));
  return value.undefined() ? Value() : value;  // its name may not live as long as it
}

constexpr Builtin kFilters[] = {
    {"default", "default_value? boolean?", or_default},
    {"d", "default_value? boolean?", or_default},
    {"length", "", length},
    {"count", "", length},
    {"int", "default? base?", to_int},
    {"float", "default?", to_float},
    {"abs", "", absolute},
    {"round", "precision? method?", rounded},
    {"first", "", first},
    {"last", "", last},
    {"attr", "name", attribute},
};

}  // namespace

Table value_filters() {
  return kFilters;
}

}  // namespace varve::jinja
