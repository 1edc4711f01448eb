// Mistral Small 3 and Ministral 3: Llama's shape; YaRN without its attention factor, and queries far beyond
// the original context are scaled up (the "temperature" of Llama 4).
#include <cmath>

#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> mistral3(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.experts.normalise = true;
  spec = TRY(common(from, std::move(spec)));
  if (spec.rope.yarn_extension > 1) spec.rope.attention_factor = 1;
  spec.temperature_scale = TRY(from.number_or("attention.temperature_scale", 0, 0, 100));
  spec.temperature_floor = spec.rope.original_context;
  return spec;
}

}  // namespace varve::arch
