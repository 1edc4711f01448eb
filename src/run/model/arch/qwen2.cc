// Qwen 1.5, 2 and 2.5: Llama with rope over halves and biases on queries, keys and values (found in the
// file).
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> qwen2(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
