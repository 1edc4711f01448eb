// StarCoder: GPT-2 with one head of keys and values.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> starcoder(const HyperParameters& from) {
  DecoderSpec spec;
  spec.norm = NormKind::layer;
  spec.learned_positions = true;
  spec.activation = Activation::gelu_tanh;
  spec.gated = false;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
