#include "memory/reflect/reflector.h"

namespace varve {
namespace reflector {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "memory/reflect/reflector/all.def"
#undef METHOD
}  // namespace reflector

const Registry<Reflector>& reflectors() {
  static const Registry<Reflector> all = [] {
    Registry<Reflector> registry;
#define METHOD(name, summary) registry.add(#name, summary, reflector::name);
#include "memory/reflect/reflector/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve
