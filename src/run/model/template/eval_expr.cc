// Expressions.
#include <utility>

#include "run/model/template/eval.h"
#include "run/model/template/print.h"
#include "run/model/template/things.h"

namespace varve::jinja {

Result<Value> Evaluator::eval(const Expr& e) {
  if (e.kind == Expr::constant) return e.value;
  const Deeper deeper(run_);
  if (!deeper.ok()) return run_.fail("the template nests too deeply");
  TRY(run_.spend(1));
  return compute(e);
}

Result<Value> Evaluator::compute(const Expr& e) {
  switch (e.kind) {
    case Expr::constant: return e.value;
    case Expr::variable: return variable(e);
    case Expr::tuple: return Value(TRY(run_.list(TRY(all(e)), List::tuple)));
    case Expr::list: return Value(TRY(run_.list(TRY(all(e)))));
    case Expr::dict: return dict(e);
    case Expr::attribute: return get_attribute(run_, TRY(eval(*e.kids[0])), e.name);
    case Expr::item: {
      const Value of = TRY(eval(*e.kids[0]));
      return get_item(run_, of, TRY(eval(*e.kids[1])));
    }
    case Expr::slice: return slice(e);
    case Expr::call: return call(e);
    case Expr::filter:
    case Expr::test: return apply(e, TRY(eval(*e.kids[0])));
    case Expr::negate:
    case Expr::plus: return negate(e);
    case Expr::invert: return Value(!truthy(TRY(eval(*e.kids[0]))));
    case Expr::all:
    case Expr::any:
      for (size_t i = 0; i + 1 < e.kids.size(); ++i) {
        Value value = TRY(eval(*e.kids[i]));
        if (truthy(value) == (e.kind == Expr::any)) return value;
      }
      return eval(*e.kids.back());
    case Expr::concat: return concat(e);
    case Expr::chain: return chain(e);
    case Expr::comparison: return comparison(e);
    case Expr::condition:
      if (truthy(TRY(eval(*e.kids[1])))) return eval(*e.kids[0]);
      return e.kids[2] == nullptr ? Value() : eval(*e.kids[2]);
  }
  return Value();
}

const Value* Evaluator::find(std::string_view name) const {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    const auto at = scope->variables.find(name);
    if (at != scope->variables.end()) return &at->second;
  }
  return nullptr;
}

Result<Value> Evaluator::variable(const Expr& e) {
  if (const Value* value = find(e.name->view())) return *value;
  if (const Builtin* function = find_builtin(functions(), e.name->view()))
    return bind(run_, *function, Value());
  return Value(Undefined{e.name.get()});
}

Result<std::vector<Value>> Evaluator::all(const Expr& e) {
  std::vector<Value> values;
  values.reserve(e.kids.size());
  for (const ExprPtr& kid : e.kids) values.push_back(TRY(eval(*kid)));
  return values;
}

Result<Value> Evaluator::dict(const Expr& e) {
  Dict* dict = TRY(run_.dict());
  for (size_t i = 0; i < e.kids.size(); i += 2) {
    const Value key = TRY(eval(*e.kids[i]));
    TRY(dict_set(run_, *dict, key, TRY(eval(*e.kids[i + 1]))));
  }
  return Value(dict);
}

Result<Value> Evaluator::slice(const Expr& e) {
  const Value of = TRY(eval(*e.kids[0]));
  Value bounds[3] = {None{}, None{}, None{}};
  for (size_t i = 0; i < 3; ++i) {
    if (e.kids[i + 1] != nullptr) bounds[i] = TRY(eval(*e.kids[i + 1]));
  }
  return get_slice(run_, of, bounds[0], bounds[1], bounds[2]);
}

Status Evaluator::spread(Args& args, const Str& how, const Value& value) {
  if (how->view() == "*") {
    const List* items = TRY(run_.iterate(value));
    TRY(run_.spend(int64_t(items->size())));
    args.by_position.insert(args.by_position.end(), items->items_of.begin(), items->items_of.end());
    return {};
  }
  if (value.dict() == nullptr) return run_.fail("what follows ** must be a dict");
  TRY(run_.spend(int64_t(value.dict()->entries.size())));
  for (const auto& entry : value.dict()->entries) {
    if (!entry.key.text()) return run_.fail("keywords must be strings");
    args.by_name.emplace_back(*entry.key.as<Str>(), entry.value);
  }
  return {};
}

Result<Args> Evaluator::arguments(const Expr& e) {
  Args args;
  for (size_t i = 0; i < e.names.size(); ++i) {
    Value value = TRY(eval(*e.kids[i + 1]));
    const Str& name = e.names[i];
    if (name == nullptr) {
      args.by_position.push_back(std::move(value));
    } else if (name->view()[0] == '*') {
      TRY(spread(args, name, value));
    } else {
      args.by_name.emplace_back(name, std::move(value));
    }
  }
  return args;
}

Result<Value> Evaluator::call(const Expr& e, Value caller) {
  const Expr& callee = *e.kids[0];
  Value self, function;
  const Builtin* known = nullptr;  // a method or function, called without being made a value first
  if (callee.kind == Expr::attribute) {
    self = TRY(eval(*callee.kids[0]));
    known = find_method(self, callee.name->view());
    if (known == nullptr) function = TRY(get_attribute(run_, self, callee.name));
  } else if (callee.kind == Expr::variable && find(callee.name->view()) == nullptr) {
    known = find_builtin(functions(), callee.name->view());
    if (known == nullptr) function = Undefined{callee.name.get()};
  } else {
    function = TRY(eval(callee));
  }
  Args args = TRY(arguments(e));
  run_.line = e.line;
  if (known != nullptr) return invoke(run_, *known, self, std::move(args));
  if (function.thing() == nullptr) {
    if (function.undefined()) return run_.fail(undefined_text(function));
    return run_.fail(std::string("'") + type_name(function) + "' object is not callable");
  }
  if (!caller.undefined()) args.by_name.emplace_back(literal("caller"), std::move(caller));
  return function.thing()->call(run_, std::move(args));
}

Result<Value> Evaluator::apply(const Expr& e, const Value& input) {
  Args args = TRY(arguments(e));
  run_.line = e.line;
  if (e.builtin == nullptr) {
    const char* what = e.kind == Expr::test ? "test" : "filter";
    return run_.fail("no " + std::string(what) + " named '" + std::string(e.name->view()) + "'");
  }
  return invoke(run_, *e.builtin, input, std::move(args));
}

Result<Value> Evaluator::negate(const Expr& e) {
  const Value value = TRY(eval(*e.kids[0]));
  if (e.kind == Expr::plus && value.number()) return value.is<bool>() ? Value(value.integer()) : value;
  if (value.is<double>()) return Value(-value.real());
  return arithmetic(run_, Op::subtract, value.integral() ? Value(int64_t(0)) : Value(None{}), value);
}

Result<Value> Evaluator::chain(const Expr& e) {
  Value left = TRY(eval(*e.kids[0]));
  for (size_t i = 0; i < e.ops.size(); ++i) {
    const Value right = TRY(eval(*e.kids[i + 1]));
    run_.line = e.kids[i + 1]->line;
    left = TRY(arithmetic(run_, e.ops[i], left, right));
  }
  return left;
}

Result<Value> Evaluator::comparison(const Expr& e) {
  Value left = TRY(eval(*e.kids[0]));
  for (size_t i = 0; i < e.ops.size(); ++i) {
    Value right = TRY(eval(*e.kids[i + 1]));
    if (!TRY(holds(e.ops[i], left, right))) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Result<bool> Evaluator::holds(Op op, const Value& a, const Value& b) {
  switch (op) {
    case Op::equal: return equal(run_, a, b);
    case Op::not_equal: return !TRY(equal(run_, a, b));
    case Op::less: return TRY(compare(run_, a, b, "<")) < 0;
    case Op::less_equal: return TRY(compare(run_, a, b, "<=")) <= 0;
    case Op::greater: return TRY(compare(run_, a, b, ">")) > 0;
    case Op::greater_equal: return TRY(compare(run_, a, b, ">=")) >= 0;
    case Op::in: return contains(run_, b, a);
    default: return !TRY(contains(run_, b, a));
  }
}

Result<Value> Evaluator::concat(const Expr& e) {
  std::string text;
  for (const ExprPtr& kid : e.kids) {
    TRY(append_text(run_, text, TRY(eval(*kid))));
    TRY(run_.room_for(int64_t(text.size())));
  }
  return run_.text(std::move(text));
}

Result<Value> Macro::call(Run& run, Args args) {
  return Evaluator(run, std::make_shared<Scope>(Scope{scope_, {}}))
      .call_macro(signature_, body_, std::move(args));
}

}  // namespace varve::jinja
