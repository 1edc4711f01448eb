// OLMo (2024): layer norms without learned weights, sometimes clamped queries, keys and values.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> olmo(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.norm = NormKind::layer;
  spec.norm_weights = false;
  spec = TRY(common(from, std::move(spec)));
  spec.qkv_clamp = TRY(from.number_or("attention.clamp_kqv", 0, 0, 1e6));
  return spec;
}

}  // namespace varve::arch
