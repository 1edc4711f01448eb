// Qwen 3: each head's queries and keys are normalised before rope; no biases.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> qwen3(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.qk_norm = QkNorm::head;
  return common(from, std::move(spec));
}

}  // namespace varve::arch
