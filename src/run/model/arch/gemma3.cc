// Gemma 3 (Gemma Team 2025): Gemma 2 with norms of queries and keys in place of the soft caps, and five
// window layers of six, which rotate with a base of their own and without scaling.
#include <cmath>

#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> gemma3(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm_after = true;
  spec.qk_norm = QkNorm::head;
  spec.activation = Activation::gelu_tanh;
  spec = TRY(common(from, std::move(spec)));
  TRY(windows(from, 6, 0, spec));
  spec.embedding_scale = std::sqrt(float(spec.width));
  if (spec.layers.size() == 62) spec.attention_scale = 1 / std::sqrt(float(spec.width / spec.heads));  // 27B
  spec.logit_soft_cap = TRY(from.number_or("final_logit_softcapping", 0, 0, 1e6));
  spec.rope_local = {.kind = spec.rope.kind, .dim = spec.rope.dim};
  spec.rope_local.base = TRY(from.number_or("rope.freq_base_swa", 10000, 1.01, 1e12));
  for (LayerSpec& layer : spec.layers) layer.local = layer.window > 0;
  return spec;
}

}  // namespace varve::arch
