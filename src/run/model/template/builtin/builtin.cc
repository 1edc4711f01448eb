#include "run/model/template/builtin/builtin.h"

#include <algorithm>

#include "run/model/template/print.h"
#include "run/model/template/things.h"

namespace varve::jinja {
namespace {

struct Parameter {
  std::string_view name;
  bool optional = false;
};

// Takes the next word of "old new count?".
bool next_parameter(std::string_view& parameters, Parameter& out) {
  if (parameters.empty()) return false;
  const size_t space = std::min(parameters.find(' '), parameters.size());
  out.name = parameters.substr(0, space);
  out.optional = out.name.back() == '?' || out.name.front() == '*';
  if (out.name.back() == '?') out.name.remove_suffix(1);
  parameters.remove_prefix(std::min(space + 1, parameters.size()));
  return true;
}

Status fail_in(const Run& run, const Builtin& builtin, const std::string& what) {
  return run.fail(std::string(builtin.name) + "() " + what);
}

// Moves the arguments into the order of the parameters.
Result<Bound> in_order(Run& run, const Builtin& builtin, Args args) {
  Bound bound;
  size_t used = 0;
  Parameter parameter;
  for (std::string_view left = builtin.parameters; next_parameter(left, parameter);) {
    if (parameter.name == "*") {
      bound.rest.assign(args.by_position.begin() + used, args.by_position.end());
      used = args.by_position.size();
      continue;
    }
    if (parameter.name == "**") {
      bound.named = std::exchange(args.by_name, {});
      continue;
    }
    const auto is = [&](const auto& pair) { return pair.first->view() == parameter.name; };
    const auto named = std::find_if(args.by_name.begin(), args.by_name.end(), is);
    if (used < args.by_position.size()) {
      bound.slots.push_back(std::move(args.by_position[used++]));
    } else if (named != args.by_name.end()) {
      bound.slots.push_back(std::move(named->second));
      args.by_name.erase(named);
    } else if (parameter.optional) {
      bound.slots.emplace_back();
    } else {
      return fail_in(run, builtin, "needs the argument '" + std::string(parameter.name) + "'");
    }
  }
  if (used < args.by_position.size()) return fail_in(run, builtin, "got too many arguments");
  if (!args.by_name.empty()) {
    return fail_in(run, builtin,
                   "got an unexpected argument '" + std::string(args.by_name[0].first->view()) + "'");
  }
  return bound;
}

}  // namespace

const Builtin* find_builtin(Table table, std::string_view name) {
  for (const Builtin& builtin : table) {
    if (builtin.name == name) return &builtin;
  }
  return nullptr;
}

const Builtin* find_filter(std::string_view name) {
  for (const Table table : {text_filters(), value_filters(), list_filters()}) {
    if (const Builtin* filter = find_builtin(table, name)) return filter;
  }
  return nullptr;
}

const Builtin* find_method(const Value& self, std::string_view name) {
  if (self.text()) return find_builtin(text_methods(), name);
  if (self.dict() != nullptr) return find_builtin(dict_methods(), name);
  if (const List* l = self.list()) {
    if (l->kind == List::list) return find_builtin(list_methods(), name);
    if (l->kind == List::tuple && (name == "count" || name == "index"))
      return find_builtin(list_methods(), name);
  }
  return nullptr;
}

Result<Value> invoke(Run& run, const Builtin& builtin, const Value& self, Args args) {
  TRY(run.spend(kTicksPerStep));
  Bound bound = TRY(in_order(run, builtin, std::move(args)));
  return builtin.run(run, self, bound);
}

Result<Value> invoke(Run& run, const Builtin& builtin, const Value& self, std::vector<Value> args) {
  return invoke(run, builtin, self, Args{std::move(args), {}});
}

Result<Value> bind(Run& run, const Builtin& builtin, const Value& self) {
  return run.thing(std::make_unique<Method>(builtin, self));
}

Result<std::string_view> want_text(Run& run, const Value& value, std::string_view what) {
  if (value.text()) return value.view();
  return run.fail(std::string(what) + " must be str, not " + type_name(value));
}

Result<int64_t> want_integer(Run& run, const Value& value, std::string_view what) {
  if (value.integral()) return value.integer();
  return run.fail(std::string(what) + " must be an integer, not " + type_name(value));
}

Result<std::string_view> soft_text(Run& run, const Value& value, std::string& held) {
  if (value.text()) return value.view();
  TRY(append_text(run, held, value));
  return std::string_view(held);
}

}  // namespace varve::jinja
