// Hunyuan with experts: each head's queries and keys are normalised after rope; one expert is shared.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> hunyuan_moe(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.qk_norm = QkNorm::head;
  spec.qk_norm_after_rope = true;
  spec.experts.normalise = true;
  spec = TRY(common(from, std::move(spec)));
  TRY(shared_experts(from, spec));
  if (spec.experts.shared_hidden == 0) spec.experts.shared_hidden = spec.hidden;
  return spec;
}

}  // namespace varve::arch
