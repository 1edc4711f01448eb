// Orion: Llama with layer norms and rope over halves.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> orion(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm = NormKind::layer;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
