// GPT-NeoX and Pythia: layer norms, fused projections with biases, both parts side by side or in turn.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> gptneox(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm = NormKind::layer;
  spec.activation = Activation::gelu_erf;
  spec.gated = false;
  spec.parallel = TRY(from.flag_or("use_parallel_residual", true));
  return common(from, std::move(spec));
}

}  // namespace varve::arch
