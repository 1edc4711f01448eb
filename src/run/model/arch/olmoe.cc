// OLMoE: norms of whole queries and keys; a softmax over all experts whose chosen weights stay as they are.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> olmoe(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.qk_norm = QkNorm::whole;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
