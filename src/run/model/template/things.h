// The values that are neither data nor text: macros, methods, loops, namespaces.
#pragma once

#include "run/model/template/ast.h"
#include "run/model/template/builtin/builtin.h"
#include "run/model/template/run.h"

namespace varve::jinja {

class Macro : public Thing {
 public:
  Macro(Str name, const Signature& signature, const Block& body, ScopePtr scope)
      : name_(std::move(name)), signature_(signature), body_(body), scope_(std::move(scope)) {}
  const char* type() const override { return "Macro"; }
  bool callable() const override { return true; }
  Value attribute(Run&, std::string_view name) override { return name == "name" ? Value(name_) : Value(); }
  Result<Value> call(Run& run, Args args) override;

 private:
  Str name_;
  const Signature& signature_;
  const Block& body_;
  ScopePtr scope_;  // where it was defined
};

class Method : public Thing {  // or a function, whose self is undefined
 public:
  Method(const Builtin& builtin, Value self) : builtin_(builtin), self_(std::move(self)) {}
  const char* type() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  Result<Value> call(Run& run, Args args) override { return invoke(run, builtin_, self_, std::move(args)); }

 private:
  const Builtin& builtin_;
  Value self_;
};

class Namespace : public Thing {
 public:
  explicit Namespace(Dict& fields) : fields_(fields) {}
  const char* type() const override { return "Namespace"; }
  Value attribute(Run&, std::string_view name) override {
    const Value* value = dict_find(fields_, name);
    return value == nullptr ? Value() : *value;
  }
  Dict& fields() { return fields_; }

 private:
  Dict& fields_;
};

class Loop : public Thing {  // the variable `loop`
 public:
  explicit Loop(const List& items) : items_(items) {}
  const char* type() const override { return "LoopContext"; }
  Value attribute(Run& run, std::string_view name) override;
  Result<Value> cycle(Run& run, const std::vector<Value>& values) const;
  Result<Value> changed(Run& run, std::vector<Value> values);
  size_t at = 0;

 private:
  const List& items_;
  std::vector<Value> last_;
};

class Cycler : public Thing {
 public:
  explicit Cycler(std::vector<Value> values) : values_(std::move(values)) {}
  const char* type() const override { return "Cycler"; }
  Value attribute(Run& run, std::string_view name) override;
  Value next() { return values_[at_++ % values_.size()]; }
  void reset() { at_ = 0; }

 private:
  std::vector<Value> values_;
  size_t at_ = 0;
};

class Joiner : public Thing {  // nothing the first time, then its separator
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  const char* type() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Result<Value> call(Run& run, Args) override {
    return std::exchange(used_, true) ? separator_ : TRY(run.text(""));
  }

 private:
  Value separator_;
  bool used_ = false;
};

}  // namespace varve::jinja
