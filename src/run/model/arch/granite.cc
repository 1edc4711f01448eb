// Granite 3: Llama with scales on embeddings, residuals, attention and logits. Some need no rope.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> granite(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.experts.normalise = true;
  if (!TRY(from.flag_or("rope.scaling.finetuned", true))) spec.rope.kind = RopeKind::none;
  spec = TRY(common(from, std::move(spec)));
  TRY(shared_experts(from, spec));
  spec.embedding_scale = TRY(scale_or(from, "embedding_scale", 1));
  spec.residual_scale = TRY(scale_or(from, "residual_scale", 1));
  spec.logit_scale = 1 / TRY(scale_or(from, "logit_scale", 1));
  return spec;
}

}  // namespace varve::arch
