// Command R7B (Cohere 2): Command R with three window layers of four; only those rotate.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> cohere2(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.norm = NormKind::layer;
  spec.parallel = spec.one_norm = true;
  spec = TRY(common(from, std::move(spec)));
  TRY(windows(from, 4, 0, spec));
  for (LayerSpec& layer : spec.layers) layer.rope = layer.window > 0;
  spec.logit_scale = TRY(scale_or(from, "logit_scale", 1));
  return spec;
}

}  // namespace varve::arch
