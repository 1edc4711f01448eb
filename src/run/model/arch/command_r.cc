// Command R (Cohere): layer norms without biases, attention and network side by side from one norm.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> command_r(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.norm = NormKind::layer;
  spec.parallel = spec.one_norm = true;
  if (from.has_tensor("blk.0.attn_q_norm")) spec.qk_norm = QkNorm::each;  // Command R+
  spec = TRY(common(from, std::move(spec)));
  spec.logit_scale = TRY(scale_or(from, "logit_scale", 1));
  return spec;
}

}  // namespace varve::arch
