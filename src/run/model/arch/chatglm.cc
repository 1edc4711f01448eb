// ChatGLM 3 and GLM-4 9B: fused projections, rope over neighbours on a part of each head.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> chatglm(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.fused_gate = true;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
