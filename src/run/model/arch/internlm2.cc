// InternLM 2: Llama's shape.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> internlm2(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
