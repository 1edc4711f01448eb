// Statements.
#include <algorithm>
#include <utility>

#include "run/model/template/eval.h"
#include "run/model/template/print.h"
#include "run/model/template/things.h"

namespace varve::jinja {

Status Evaluator::exec(const Block& block) {
  const Deeper deeper(run_);
  if (!deeper.ok()) return run_.fail("the template nests too deeply");
  for (const Stmt& s : block) {
    TRY(exec(s));
    if (flow_ != Flow::on) break;
  }
  return {};
}

Status Evaluator::exec(const Stmt& s) {
  run_.line = s.line;
  TRY(run_.spend(kTicksPerStep));
  switch (s.kind) {
    case Stmt::text: return run_.write(s.name->view());
    case Stmt::print: {
      const Value value = TRY(eval(*s.value));
      if (value.text()) return run_.write(value.view());
      std::string text;
      TRY(append_text(run_, text, value));
      return run_.write(text);
    }
    case Stmt::branch:
      for (const Branch& branch : s.branches) {
        if (branch.test == nullptr || truthy(TRY(eval(*branch.test)))) return exec(branch.body);
      }
      return {};
    case Stmt::loop: return loop(s);
    case Stmt::assign: return assign(*s.target, TRY(eval(*s.value)));
    case Stmt::capture: return capture(s);
    case Stmt::macro: return define_macro(s);
    case Stmt::call_block: return call_block(s);
    case Stmt::filter_block: return capture(s);
    case Stmt::with: return with(s);
    case Stmt::scope: return in_new_scope(s.body);
    case Stmt::run: return eval(*s.value).status();
    case Stmt::leave: flow_ = Flow::leave; return {};
    case Stmt::next: flow_ = Flow::next; return {};
  }
  return {};
}

Status Evaluator::in_new_scope(const Block& body) {
  scope_ = std::make_shared<Scope>(Scope{scope_, {}});
  Status status = exec(body);
  scope_ = scope_->parent;
  return status;
}

Status Evaluator::loop(const Stmt& s) {
  List* items = TRY(run_.iterate(TRY(eval(*s.value))));
  if (s.test != nullptr) items = TRY(filtered(s, *items));
  if (items->size() == 0) return in_new_scope(s.other);
  return loop_over(s, *items);
}

Result<List*> Evaluator::filtered(const Stmt& s, List& items) {
  std::vector<Value> kept;
  const ScopePtr outside = scope_;
  for (size_t i = 0; i < items.size(); ++i) {
    TRY(run_.spend(kTicksPerStep));
    const Value item = items.items_of[i];
    scope_ = std::make_shared<Scope>(Scope{outside, {}});
    TRY(assign(*s.target, item));
    if (truthy(TRY(eval(*s.test)))) kept.push_back(item);
    TRY(run_.room_for(int64_t(kept.size() * sizeof(Value))));
  }
  scope_ = outside;
  return run_.list(std::move(kept));
}

Status Evaluator::loop_over(const Stmt& s, List& items) {
  const ScopePtr outside = scope_;
  auto state = std::make_unique<Loop>(items);
  Loop& loop = *state;
  const Value variable = TRY(run_.thing(std::move(state)));
  for (; loop.at < items.size(); ++loop.at) {  // the body may append to what it walks
    TRY(run_.spend(kTicksPerStep));
    scope_ = std::make_shared<Scope>(Scope{outside, {}});
    TRY(assign(*s.target, items.items_of[loop.at]));
    scope_->variables["loop"] = variable;
    TRY(exec(s.body));
    if (std::exchange(flow_, Flow::on) == Flow::leave) break;
  }
  scope_ = outside;
  return {};
}

Result<Value> Evaluator::output_of(const Block& body) {
  std::string before = std::exchange(run_.out, {});
  TRY(in_new_scope(body));
  return run_.text(run_.take_output(std::move(before)));
}

// A block set and a filter block: both keep what their body writes, and one prints it.
Status Evaluator::capture(const Stmt& s) {
  Value text = TRY(output_of(s.body));
  std::vector<const Expr*> filters;  // the outermost first
  for (const Expr* e = s.value.get(); e != nullptr; e = e->kids[0].get()) filters.push_back(e);
  for (size_t i = filters.size(); i-- > 0;) text = TRY(apply(*filters[i], text));
  if (s.kind == Stmt::capture) return assign(*s.target, std::move(text));
  std::string printed;
  TRY(append_text(run_, printed, text));
  return run_.write(printed);
}

Status Evaluator::with(const Stmt& s) {
  const ScopePtr outside = scope_;
  const std::vector<Value> values = TRY(all(*s.value));
  scope_ = std::make_shared<Scope>(Scope{outside, {}});
  for (size_t i = 0; i < values.size(); ++i) TRY(assign(*s.target->kids[i], values[i]));
  TRY(exec(s.body));
  scope_ = outside;
  return {};
}

Status Evaluator::define_macro(const Stmt& s) {
  scope_->variables[s.name->view()] =
      TRY(run_.thing(std::make_unique<Macro>(s.name, *s.signature, s.body, scope_), 256));
  return {};
}

Status Evaluator::call_block(const Stmt& s) {
  const Value caller =
      TRY(run_.thing(std::make_unique<Macro>(literal("caller"), *s.signature, s.body, scope_), 256));
  const Value printed = TRY(call(*s.value, caller));
  std::string text;
  TRY(append_text(run_, text, printed));
  return run_.write(text);
}

Status Evaluator::assign(const Expr& target, Value value) {
  if (target.kind == Expr::variable) {
    scope_->variables[target.name->view()] = std::move(value);
    return {};
  }
  if (target.kind == Expr::attribute) {
    auto* space = dynamic_cast<Namespace*>(TRY(eval(*target.kids[0])).thing());
    if (space == nullptr) return run_.fail("cannot assign attribute on non-namespace object");
    return dict_set(run_, space->fields(), Value(target.name), std::move(value));
  }
  const List* parts = TRY(run_.iterate(value));
  if (parts->size() != target.kids.size()) {
    return run_.fail("cannot unpack " + std::to_string(parts->size()) + " values into " +
                     std::to_string(target.kids.size()));
  }
  for (size_t i = 0; i < target.kids.size(); ++i) TRY(assign(*target.kids[i], parts->items_of[i]));
  return {};
}

// Arguments by name go to their parameters; others to `kwargs` when the body asks for them.
Status Evaluator::bind_named(const Signature& signature, Args& args) {
  auto& variables = scope_->variables;
  Dict* others = signature.named_rest ? TRY(run_.dict()) : nullptr;
  for (auto& [name, value] : args.by_name) {
    const std::string_view wanted = name->view();  // clang 14 captures no structured binding
    const auto is = [&](const Str& parameter) { return parameter->view() == wanted; };
    const auto at = std::find_if(signature.names.begin(), signature.names.end(), is);
    const std::string quoted = "'" + std::string(name->view()) + "'";
    if (at != signature.names.end()) {
      if (!variables.emplace((*at)->view(), std::move(value)).second) {
        return run_.fail("the macro got two values for " + quoted);
      }
    } else if (name->view() == "caller") {
      variables["caller"] = std::move(value);
    } else if (others != nullptr) {
      TRY(dict_set(run_, *others, Value(name), std::move(value)));
    } else {
      return run_.fail("the macro takes no argument " + quoted);
    }
  }
  if (others != nullptr) variables["kwargs"] = Value(others);
  return {};
}

Result<Value> Evaluator::call_macro(const Signature& signature, const Block& body, Args args) {
  auto& variables = scope_->variables;
  const size_t named = signature.names.size();
  const size_t given = std::min(args.by_position.size(), named);
  for (size_t i = 0; i < given; ++i) variables[signature.names[i]->view()] = args.by_position[i];
  if (signature.rest) {
    std::vector<Value> rest(args.by_position.begin() + given, args.by_position.end());
    variables["varargs"] = TRY(run_.list(std::move(rest), List::tuple));
  } else if (args.by_position.size() > named) {
    return run_.fail("the macro takes not more than " + std::to_string(named) + " argument(s)");
  }
  TRY(bind_named(signature, args));
  const size_t plain = named - signature.defaults.size();
  for (size_t i = 0; i < named; ++i) {
    if (variables.count(signature.names[i]->view()) > 0) continue;
    Value value =
        i < plain ? Value(Undefined{signature.names[i].get()}) : TRY(eval(*signature.defaults[i - plain]));
    variables[signature.names[i]->view()] = std::move(value);
  }
  return output_of(body);
}

}  // namespace varve::jinja
