// Arcee AFM: Llama's shape with relu(x)^2 and no gate.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> arcee(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.activation = Activation::relu;
  spec.squared = true;
  spec.gated = false;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
