// Gemma 2 (Gemma Team 2024): norms before and after both parts, soft caps on attention and on logits, every
// second layer sees a window. GGUF files hold the norm weights with their 1 added.
#include <cmath>

#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> gemma2(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm_after = true;
  spec.activation = Activation::gelu_tanh;
  spec = TRY(common(from, std::move(spec)));
  TRY(windows(from, 2, 4096, spec));
  spec.embedding_scale = std::sqrt(float(spec.width));
  // The 27B model scales by the width of a head had the heads shared the model's width.
  if (spec.layers.size() == 46) spec.attention_scale = 1 / std::sqrt(float(spec.width / spec.heads));
  spec.attention_soft_cap = TRY(from.number_or("attn_logit_softcapping", 50, 0, 1e6));
  spec.logit_soft_cap = TRY(from.number_or("final_logit_softcapping", 30, 0, 1e6));
  return spec;
}

}  // namespace varve::arch
