// OLMo 2 (2025): norms only after each part, queries and keys normalised over all heads at once. OLMo 3 adds
// window layers, which rotate without YaRN.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> olmo2(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm_before = false;
  spec.norm_after = true;
  spec.qk_norm = QkNorm::whole;
  spec = TRY(common(from, std::move(spec)));
  TRY(windows(from, 4, 0, spec));
  spec.rope_local = {.kind = spec.rope.kind, .dim = spec.rope.dim, .base = spec.rope.base};
  for (LayerSpec& layer : spec.layers) layer.local = layer.window > 0;
  return spec;
}

}  // namespace varve::arch
