// Qwen 2 and 2.5 VL on text alone: there all position sections agree, and rope is Qwen 2's.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> qwen2vl(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  const auto sections = TRY(from.per_layer("rope.dimension_sections"));
  if (sections.size() > 3 && sections[3] != 0) {
    return Status(Code::unsupported, "qwen2vl.rope.dimension_sections has a fourth section");
  }
  return common(from, std::move(spec));
}

}  // namespace varve::arch
