// Qwen 1.5 and 2 with experts: chosen weights stay as they are, and a shared expert has a gate of its own.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> qwen2moe(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec = TRY(common(from, std::move(spec)));
  if (spec.experts.count == 0) return Status(Code::invalid, "qwen2moe.expert_count is 0");
  TRY(shared_experts(from, spec));
  if (spec.experts.shared_hidden == 0) spec.experts.shared_hidden = spec.hidden;
  return spec;
}

}  // namespace varve::arch
