// + - * / // % ** as Python computes them, except that integers end at 64 bits: beyond is an error.
#include <cmath>

#include "run/model/template/ast.h"
#include "run/model/template/builtin/builtin.h"

namespace varve::jinja {
namespace {

const char* sign_of(Op op) {
  static constexpr const char* kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};
  return kSigns[int(op)];
}

Status unsupported(const Run& run, Op op, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (value->undefined()) return run.fail(undefined_text(*value));
  }
  if (op == Op::add && a.text()) {
    return run.fail(std::string("can only concatenate str (not \"") + type_name(b) + "\") to str");
  }
  return run.fail(std::string("unsupported operand type(s) for ") + sign_of(op) + ": '" + type_name(a) +
                  "' and '" + type_name(b) + "'");
}

Result<Value> repeat(Run& run, const Value& what, int64_t times) {
  times = std::max<int64_t>(times, 0);
  const int64_t size = int64_t(what.text() ? what.view().size() : what.list()->size() * sizeof(Value));
  int64_t bytes = 0;
  if (__builtin_mul_overflow(size, times, &bytes)) bytes = kBytes + 1;
  TRY(run.room_for(bytes));
  if (size == 0) times = 0;
  TRY(run.spend(times / 8));
  if (what.text()) {
    std::string text;
    text.reserve(size_t(bytes));
    for (int64_t i = 0; i < times; ++i) text.append(what.view());
    return run.text(std::move(text));
  }
  const auto& unit = what.list()->items_of;
  std::vector<Value> items;
  for (int64_t i = 0; i < times; ++i) items.insert(items.end(), unit.begin(), unit.end());
  return Value(TRY(run.list(std::move(items), what.list()->kind)));
}

Result<Value> join_lists(Run& run, const List& a, const List& b) {
  TRY(run.room_for(int64_t((a.size() + b.size()) * sizeof(Value))));
  std::vector<Value> items = a.items_of;
  items.insert(items.end(), b.items_of.begin(), b.items_of.end());
  return Value(TRY(run.list(std::move(items), a.kind)));
}

Result<Value> whole_power(Run& run, int64_t base, int64_t exponent) {
  int64_t value = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(value, base, &value))
      return run.fail("integer overflow");
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return run.fail("integer overflow");
  }
  return Value(value);
}

Result<Value> whole(Run& run, Op op, int64_t a, int64_t b) {
  int64_t value = 0;
  bool over = false;
  switch (op) {
    case Op::add: over = __builtin_add_overflow(a, b, &value); break;
    case Op::subtract: over = __builtin_sub_overflow(a, b, &value); break;
    case Op::multiply: over = __builtin_mul_overflow(a, b, &value); break;
    case Op::power: return whole_power(run, a, b);
    default:
      if (b == 0) return run.fail("integer division or modulo by zero");
      if (b == -1) {
        over = op == Op::floor_divide && __builtin_sub_overflow(int64_t(0), a, &value);
      } else {
        const bool down = a % b != 0 && (a % b < 0) != (b < 0);  // Python rounds down
        value = op == Op::floor_divide ? a / b - down : a % b + (down ? b : 0);
      }
  }
  if (over) return run.fail("integer overflow");
  return Value(value);
}

Result<Value> real(Run& run, Op op, double a, double b) {
  switch (op) {
    case Op::add: return Value(a + b);
    case Op::subtract: return Value(a - b);
    case Op::multiply: return Value(a * b);
    case Op::power:
      if (a == 0 && b < 0) return run.fail("0.0 cannot be raised to a negative power");
      if (a < 0 && b != std::floor(b)) return run.fail("a negative number to a broken power");
      return Value(std::pow(a, b));
    default: break;
  }
  if (b == 0) return run.fail("division by zero");
  if (op == Op::divide) return Value(a / b);
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  if (op == Op::modulo) return Value(rest == 0 ? std::copysign(0.0, b) : rest);
  return Value(std::round((a - rest) / b));
}

}  // namespace

Result<Value> arithmetic(Run& run, Op op, const Value& a, const Value& b) {
  if (a.integral() && b.integral() && op != Op::divide && !(op == Op::power && b.integer() < 0)) {
    return whole(run, op, a.integer(), b.integer());
  }
  if (a.number() && b.number()) return real(run, op, a.real(), b.real());
  if (op == Op::add && a.text() && b.text()) {
    TRY(run.room_for(int64_t(a.view().size() + b.view().size())));
    std::string text;
    text.reserve(a.view().size() + b.view().size());
    return run.text(std::move(text.append(a.view()).append(b.view())));
  }
  if (op == Op::modulo && a.text()) return percent_format(run, a.view(), b);
  const auto sequence = [](const Value& v) {
    return v.text() || (v.list() != nullptr && v.list()->kind <= List::tuple);
  };
  if (op == Op::add && a.list() != nullptr && b.list() != nullptr && sequence(a) &&
      a.list()->kind == b.list()->kind) {
    return join_lists(run, *a.list(), *b.list());
  }
  if (op == Op::multiply && sequence(a) && b.integral()) return repeat(run, a, b.integer());
  if (op == Op::multiply && sequence(b) && a.integral()) return repeat(run, b, a.integer());
  return unsupported(run, op, a, b);
}

}  // namespace varve::jinja
