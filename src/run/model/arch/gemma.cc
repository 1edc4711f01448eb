// Gemma (the first): Llama's shape with GELU and scaled embeddings. GGUF files hold the norm weights with
// their 1 added.
#include <cmath>

#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> gemma(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.activation = Activation::gelu_tanh;
  spec = TRY(common(from, std::move(spec)));
  spec.embedding_scale = std::sqrt(float(spec.width));
  return spec;
}

}  // namespace varve::arch
