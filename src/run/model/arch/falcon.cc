// Falcon: attention and network side by side, from one norm (7B) or two (40B).
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> falcon(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm = NormKind::layer;
  spec.activation = Activation::gelu_erf;
  spec.gated = false;
  spec.parallel = true;
  if (from.has_tensor("blk.0.attn_norm_2")) {
    spec.attention_norm = "attn_norm_2";
    spec.ffn_norm = "attn_norm";
  } else {
    spec.one_norm = true;
  }
  return common(from, std::move(spec));
}

}  // namespace varve::arch
