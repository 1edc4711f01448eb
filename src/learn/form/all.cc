#include "learn/form/form.h"

namespace varve {
namespace form {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "learn/form/all.def"
#undef METHOD
}  // namespace form

const Registry<WeightForm>& forms() {
  static const Registry<WeightForm> all = [] {
    Registry<WeightForm> registry;
#define METHOD(name, summary) registry.add(#name, summary, form::name);
#include "learn/form/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve
