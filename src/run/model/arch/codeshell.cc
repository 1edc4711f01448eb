// CodeShell: GPT-2's network with rope.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> codeshell(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm = NormKind::layer;
  spec.activation = Activation::gelu_tanh;
  spec.gated = false;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
