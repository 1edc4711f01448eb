// Phi-1.5 and Phi-2: attention and network side by side from one layer norm; part of a head rotates.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> phi2(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm = NormKind::layer;
  spec.activation = Activation::gelu_tanh;
  spec.gated = false;
  spec.parallel = spec.one_norm = true;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
