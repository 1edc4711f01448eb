// ERNIE 4.5, the dense models: Llama's shape. What their files may say of experts belongs to their siblings.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> ernie4_5(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec = TRY(common(from, std::move(spec)));
  spec.experts = {};
  for (LayerSpec& layer : spec.layers) layer.experts = false;
  return spec;
}

}  // namespace varve::arch
