// SmolLM 3: Llama in which every fourth layer does not rotate.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> smollm3(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec = TRY(common(from, std::move(spec)));
  for (size_t i = 3; i < spec.layers.size(); i += 4) spec.layers[i].rope = false;
  return spec;
}

}  // namespace varve::arch
