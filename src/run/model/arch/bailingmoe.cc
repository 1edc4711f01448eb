// Ling (BailingMoE): Llama's attention, experts of which one is shared by all rows.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> bailingmoe(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec = TRY(common(from, std::move(spec)));
  TRY(shared_experts(from, spec));
  return spec;
}

}  // namespace varve::arch
