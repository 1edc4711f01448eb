// StarCoder 2: GPT-2's network and biases with rope.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> starcoder2(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm = NormKind::layer;
  spec.activation = Activation::gelu_tanh;
  spec.gated = false;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
