// GLM 4.5: a sigmoid router with a bias that only ranks, shared experts, dense layers first. The file's last
// layers predict further tokens and are left out.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> glm4moe(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.ffn_norm = "post_attention_norm";
  if (from.has_tensor("blk.0.attn_q_norm")) spec.qk_norm = QkNorm::head;
  spec.experts.gate = RouterGate::sigmoid;
  spec = TRY(common(from, std::move(spec)));
  TRY(router_gate(from, spec));
  TRY(leading_dense(from, spec));
  TRY(shared_experts(from, spec));
  const int32_t layers = int32_t(spec.layers.size());
  spec.layers.resize(size_t(layers - TRY(from.count_or("nextn_predict_layers", 0, 0, layers - 1))));
  return spec;
}

}  // namespace varve::arch
