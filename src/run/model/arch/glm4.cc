// GLM-4 (0414): ChatGLM with norms after both parts too. Its vision models, whose positions have sections,
// rotate halves.
#include <algorithm>

#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> glm4(const HyperParameters& from) {
  DecoderSpec spec;
  const auto sections = TRY(from.per_layer("rope.dimension_sections"));
  const bool vision = std::any_of(sections.begin(), sections.end(), [](int64_t pairs) { return pairs > 0; });
  spec.rope.kind = vision ? RopeKind::halves : RopeKind::adjacent;
  spec.fused_gate = true;
  spec.norm_after = true;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
