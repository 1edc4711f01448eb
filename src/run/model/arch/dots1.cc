// dots.llm1: Qwen 3's attention; a sigmoid router with a bias that only ranks, and shared experts.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> dots1(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.qk_norm = QkNorm::head;
  spec.experts.gate = RouterGate::sigmoid;
  spec = TRY(common(from, std::move(spec)));
  TRY(router_gate(from, spec));
  TRY(leading_dense(from, spec));
  TRY(shared_experts(from, spec));
  return spec;
}

}  // namespace varve::arch
