#include "math/pack/pack.h"

namespace varve {
namespace page_pack {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "math/pack/all.def"
#undef METHOD
}  // namespace page_pack

const Registry<PagePack>& page_packs() {
  static const Registry<PagePack> all = [] {
    Registry<PagePack> registry;
#define METHOD(name, summary) registry.add(#name, summary, page_pack::name);
#include "math/pack/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve
