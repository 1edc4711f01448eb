#include "run/kv/select.h"

namespace varve {
namespace kv_select {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "run/kv/select/all.def"
#undef METHOD

Result<SelectPlan> read_plan(const Spec& spec, SelectPlan plan) {
  TRY(OptionReader(spec)
          .read("pages", plan.pages, 0, 1 << 20)
          .read("sinks", plan.sinks, 0, 1 << 20)
          .read("window", plan.window, 0, 1 << 20)
          .read("estimate", plan.estimate, 0, 64)
          .read("near", plan.near, 0, 64)
          .read("coarse", plan.coarse, 0, 1024)
          .read("prompts", plan.prompts, 0, 1)
          .done());
  if (plan.estimate > 0 && 64 % plan.estimate != 0)
    return Status(Code::invalid, "select: estimate divides 64 (0: nothing is estimated)");
  if (plan.estimate > 0 && plan.parts)
    return Status(Code::invalid, "select=" + spec.name + " reads parts of pages and estimates nothing");
  return plan;
}

Spec take_options(Spec& spec, std::initializer_list<const char*> names) {
  Spec own{spec.name, {}};
  for (const char* name : names) {
    if (auto found = spec.options.extract(name)) own.options.insert(std::move(found));
  }
  return own;
}
}  // namespace kv_select

const Registry<KvSelector>& kv_selectors() {
  static const Registry<KvSelector> all = [] {
    Registry<KvSelector> registry;
#define METHOD(name, summary) registry.add(#name, summary, kv_select::name);
#include "run/kv/select/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve
