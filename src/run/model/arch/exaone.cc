// EXAONE 3: Llama with rope over halves.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> exaone(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
