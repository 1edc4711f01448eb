// StableLM: Llama with layer norms and part of a head rotating; in the 12B model both parts stand side by
// side and each head has a norm.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> stablelm(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm = NormKind::layer;
  if (from.has_tensor("blk.0.attn_q_norm")) spec.qk_norm = QkNorm::each;
  spec.parallel = spec.one_norm = !from.has_tensor("blk.0.ffn_norm");
  return common(from, std::move(spec));
}

}  // namespace varve::arch
