// XVERSE: Llama's shape.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> xverse(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
