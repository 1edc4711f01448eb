// ERNIE 4.5, the dense models: Llama's shape.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> ernie4_5(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
