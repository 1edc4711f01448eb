// DBRX: layer norms without biases, clamped queries, keys and values, experts in every layer.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> dbrx(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm = NormKind::layer;
  spec.ffn_norm = "attn_output_norm";
  spec.experts.normalise = true;
  spec = TRY(common(from, std::move(spec)));
  spec.qkv_clamp = TRY(from.number_or("attention.clamp_kqv", 0, 0, 1e6));
  return spec;
}

}  // namespace varve::arch
