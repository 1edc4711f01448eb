// Qwen 3 with experts: a softmax over all of them, then the weights of the chosen sum to one.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> qwen3moe(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.qk_norm = QkNorm::head;
  spec.experts.normalise = true;
  spec = TRY(common(from, std::move(spec)));
  if (spec.experts.count == 0) return Status(Code::invalid, "qwen3moe.expert_count is 0");
  return spec;
}

}  // namespace varve::arch
