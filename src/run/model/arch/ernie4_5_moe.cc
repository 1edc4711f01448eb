// ERNIE 4.5 with experts: every n-th layer after the dense first ones; a bias only ranks.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> ernie4_5_moe(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.experts.normalise = true;
  spec = TRY(common(from, std::move(spec)));
  TRY(leading_dense(from, spec));
  const int32_t step = TRY(from.count_or("interleave_moe_layer_step", 1, 1, 1024));
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    if ((i + 1) % size_t(step) != 0) spec.layers[i].experts = false;
  }
  TRY(shared_experts(from, spec));
  return spec;
}

}  // namespace varve::arch
