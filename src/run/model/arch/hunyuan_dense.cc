// Hunyuan, the dense models: each head's queries and keys are normalised after rope.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> hunyuan_dense(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.qk_norm = QkNorm::head;
  spec.qk_norm_after_rope = true;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
