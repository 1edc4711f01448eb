// Qwen 2 and 2.5 VL on text alone: there all position sections agree, and rope is Qwen 2's.
#include <algorithm>

#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> qwen2vl(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec = TRY(common(from, std::move(spec)));
  const auto sections = TRY(from.per_layer("rope.dimension_sections"));
  int64_t pairs = 0;  // that turn with a position of text; a fourth section would stand still
  for (size_t i = 0; i < std::min<size_t>(sections.size(), 3); ++i)
    pairs += std::max<int64_t>(sections[i], 0);
  if (sections.size() > 3 && sections[3] > 0 && pairs < spec.rope.dim / 2) {
    return Status(Code::unsupported, "qwen2vl.rope.dimension_sections has a fourth section");
  }
  return spec;
}

}  // namespace varve::arch
