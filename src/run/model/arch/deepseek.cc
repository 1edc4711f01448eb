// DeepSeek MoE (the first): Llama's attention, dense layers first, then experts of which some are shared.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> deepseek(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec = TRY(common(from, std::move(spec)));
  TRY(leading_dense(from, spec));
  TRY(shared_experts(from, spec));
  return spec;
}

}  // namespace varve::arch
