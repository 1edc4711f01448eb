// Evaluator: walks the tree in one scope. A macro is called with an evaluator of its own.
#pragma once

#include "run/model/template/ast.h"
#include "run/model/template/run.h"

namespace varve::jinja {

class Evaluator {
 public:
  Evaluator(Run& run, ScopePtr scope) : run_(run), scope_(std::move(scope)) {}

  Status exec(const Block& block);
  Result<Value> eval(const Expr& e);
  // Binds the arguments, runs the body and gives its output.
  Result<Value> call_macro(const Signature& signature, const Block& body, Args args);

 private:
  enum class Flow { on, leave, next };  // what break and continue asked for

  Status exec(const Stmt& s);
  Status loop(const Stmt& s);
  Status loop_over(const Stmt& s, List& items);
  Result<List*> filtered(const Stmt& s, List& items);
  Status capture(const Stmt& s);
  Status with(const Stmt& s);
  Status call_block(const Stmt& s);
  Status bind_named(const Signature& signature, Args& args);
  Status define_macro(const Stmt& s);
  Status in_new_scope(const Block& body);
  Result<Value> output_of(const Block& body);
  Status assign(const Expr& target, Value value);

  Result<Value> compute(const Expr& e);
  const Value* find(std::string_view name) const;
  Result<Value> variable(const Expr& e);
  Result<Value> call(const Expr& e, Value caller = {});    // with what a call block hands over
  Result<Value> apply(const Expr& e, const Value& input);  // a filter or test
  Result<Value> slice(const Expr& e);
  Result<Value> dict(const Expr& e);
  Result<std::vector<Value>> all(const Expr& e);
  Result<Value> negate(const Expr& e);
  Result<Value> chain(const Expr& e);
  Result<Value> comparison(const Expr& e);
  Result<bool> holds(Op op, const Value& a, const Value& b);
  Result<Value> concat(const Expr& e);
  Result<Args> arguments(const Expr& e);
  Status spread(Args& args, const Str& how, const Value& value);

  Run& run_;
  ScopePtr scope_;
  Flow flow_ = Flow::on;
};

}  // namespace varve::jinja
