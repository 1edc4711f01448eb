// Tests: what may follow `is`.
#include <algorithm>
#include <cmath>

#include "run/model/template/ast.h"
#include "run/model/template/builtin/builtin.h"
#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

Result<Value> remainder_is(Run& run, const Value& self, const Value& by, int64_t wanted) {
  const Value rest = TRY(arithmetic(run, Op::modulo, self, by));
  if (!rest.number()) return run.fail("the test needs a number");
  return Value(rest.real() == double(wanted));
}

template <int kLow, int kHigh>  // the order of the two is within these
Result<Value> ordered(Run& run, const Value& self, Bound& args) {
  const int order = TRY(compare(run, self, args[0]));
  return Value(order >= kLow && order <= kHigh);
}
constexpr int kMost = 1 << 30;

template <bool kWanted>
Result<Value> equals(Run& run, const Value& self, Bound& args) {
  return Value(TRY(equal(run, self, args[0])) == kWanted);
}

bool is_sequence(const Value& v) {
  return v.undefined() || v.text() || v.dict() != nullptr ||
         (v.list() != nullptr && v.list()->kind <= List::tuple);
}
bool is_iterable(const Value& v) {
  return is_sequence(v) || v.list() != nullptr;
}
bool is_integer(const Value& v) {
  return v.is<int64_t>();
}
bool is_callable(const Value& v) {
  return v.undefined() || (v.thing() != nullptr && v.thing()->callable());
}
bool is_defined(const Value& v) {
  return !v.undefined();
}
bool is_undefined(const Value& v) {
  return v.undefined();
}
bool is_none(const Value& v) {
  return v.none();
}
bool is_string(const Value& v) {
  return v.text();
}
bool is_number(const Value& v) {
  return v.number();
}
bool is_float(const Value& v) {
  return v.is<double>();
}
bool is_boolean(const Value& v) {
  return v.is<bool>();
}
bool is_true(const Value& v) {
  return v.is<bool>() && v.integer() == 1;
}
bool is_false(const Value& v) {
  return v.is<bool>() && v.integer() == 0;
}
bool is_mapping(const Value& v) {
  return v.dict() != nullptr;
}
bool is_lower(const Value& v) {
  return v.text() && all_of(v.view(), CharClass::lower);
}
bool is_upper(const Value& v) {
  return v.text() && all_of(v.view(), CharClass::upper);
}

template <bool (*kIs)(const Value&)>
Result<Value> check(Run&, const Value& self, Bound&) {
  return Value(kIs(self));
}

Result<Value> same_as(Run& run, const Value& self, Bound& args) {
  const Value& other = args[0];
  if (self.list() != nullptr || self.dict() != nullptr || self.thing() != nullptr) {
    return Value(self.list() == other.list() && self.dict() == other.dict() && self.thing() == other.thing());
  }
  const bool alike = self.is<bool>() == other.is<bool>() && self.is<double>() == other.is<double>();
  return Value(alike && TRY(equal(run, self, other)));
}

constexpr Builtin kTests[] = {
    {"defined", "", check<is_defined>},
    {"undefined", "", check<is_undefined>},
    {"none", "", check<is_none>},
    {"string", "", check<is_string>},
    {"number", "", check<is_number>},
    {"integer", "", check<is_integer>},
    {"float", "", check<is_float>},
    {"boolean", "", check<is_boolean>},
    {"true", "", check<is_true>},
    {"false", "", check<is_false>},
    {"mapping", "", check<is_mapping>},
    {"sequence", "", check<is_sequence>},
    {"iterable", "", check<is_iterable>},
    {"callable", "", check<is_callable>},
    {"lower", "", check<is_lower>},
    {"upper", "", check<is_upper>},
    {"sameas", "other", same_as},
    {"eq", "other", equals<true>},
    {"equalto", "other", equals<true>},
    {"==", "other", equals<true>},
    {"ne", "other", equals<false>},
    {"!=", "other", equals<false>},
    {"lt", "other", ordered<-kMost, -1>},
    {"lessthan", "other", ordered<-kMost, -1>},
    {"<", "other", ordered<-kMost, -1>},
    {"le", "other", ordered<-kMost, 0>},
    {"<=", "other", ordered<-kMost, 0>},
    {"gt", "other", ordered<1, kMost>},
    {"greaterthan", "other", ordered<1, kMost>},
    {">", "other", ordered<1, kMost>},
    {"ge", "other", ordered<0, kMost>},
    {">=", "other", ordered<0, kMost>},
    {"in", "seq",
     [](Run& run, const Value& self, Bound& args) -> Result<Value> {
       return Value(TRY(contains(run, args[0], self)));
     }},
    {"odd", "",
     [](Run& run, const Value& self, Bound&) { return remainder_is(run, self, Value(int64_t(2)), 1); }},
    {"even", "",
     [](Run& run, const Value& self, Bound&) { return remainder_is(run, self, Value(int64_t(2)), 0); }},
    {"divisibleby", "num",
     [](Run& run, const Value& self, Bound& args) { return remainder_is(run, self, args[0], 0); }},
    {"filter", "",
     [](Run&, const Value& self, Bound&) -> Result<Value> {
       return Value(find_filter(self.view()) != nullptr);
     }},
    {"test", "",
     [](Run&, const Value& self, Bound&) -> Result<Value> {
       return Value(find_builtin(tests(), self.view()) != nullptr);
     }},
};

}  // namespace

Table tests() {
  return kTests;
}

}  // namespace varve::jinja
