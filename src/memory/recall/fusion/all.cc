#include "memory/recall/fusion.h"

namespace varve {
namespace fusion {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "memory/recall/fusion/all.def"
#undef METHOD
}  // namespace fusion

const Registry<Fusion>& fusions() {
  static const Registry<Fusion> all = [] {
    Registry<Fusion> registry;
#define METHOD(name, summary) registry.add(#name, summary, fusion::name);
#include "memory/recall/fusion/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve
