// EXAONE 4: norms only after each part and on each head's queries and keys; in the 32B model three layers
// of four see a window, and only those rotate.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> exaone4(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm_before = false;
  spec.norm_after = true;
  spec.qk_norm = QkNorm::head;
  spec = TRY(common(from, std::move(spec)));
  const bool large = spec.layers.size() == 64;
  if (!large && !from.has("attention.sliding_window_pattern")) return spec;
  TRY(windows(from, 4, large ? 4096 : 0, spec));
  for (LayerSpec& layer : spec.layers) layer.rope = layer.window > 0;
  return spec;
}

}  // namespace varve::arch
