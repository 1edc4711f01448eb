#include "run/kv/policy.h"

namespace varve {
namespace kv_allot {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "run/kv/allot/all.def"
#undef METHOD
}  // namespace kv_allot

const Registry<KvAllotter>& kv_allotters() {
  static const Registry<KvAllotter> all = [] {
    Registry<KvAllotter> registry;
#define METHOD(name, summary) registry.add(#name, summary, kv_allot::name);
#include "run/kv/allot/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve
