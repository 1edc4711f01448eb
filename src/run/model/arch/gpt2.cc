// GPT-2 (Radford et al. 2019): layer norms with biases, learned positions, a GELU network without a gate.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> gpt2(const HyperParameters& from) {
  DecoderSpec spec;
  spec.norm = NormKind::layer;
  spec.learned_positions = true;
  spec.activation = Activation::gelu_tanh;
  spec.gated = false;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
