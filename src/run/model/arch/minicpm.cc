// MiniCPM: Llama with scales on embeddings, residuals and logits; old files leave them to be known.
#include <cmath>

#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> minicpm(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.experts.normalise = true;
  spec = TRY(common(from, std::move(spec)));
  spec.embedding_scale = TRY(scale_or(from, "embedding_scale", 12));
  spec.residual_scale = TRY(scale_or(from, "residual_scale", 1.4f / std::sqrt(float(spec.layers.size()))));
  spec.logit_scale = 1 / TRY(scale_or(from, "logit_scale", float(spec.width) / 256));
  return spec;
}

}  // namespace varve::arch
