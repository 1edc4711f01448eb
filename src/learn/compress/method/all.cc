#include "learn/compress/compressor.h"

namespace varve {
namespace compress {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "learn/compress/method/all.def"
#undef METHOD
}  // namespace compress

const Registry<Compressor>& compressors() {
  static const Registry<Compressor> all = [] {
    Registry<Compressor> registry;
#define METHOD(name, summary) registry.add(#name, summary, compress::name);
#include "learn/compress/method/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve
