// GLM-4 (0414): ChatGLM with norms after both parts too.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> glm4(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.fused_gate = true;
  spec.norm_after = true;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
