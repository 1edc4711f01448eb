// Llama (Touvron et al. 2023) and what has its shape: Mistral, Mixtral (experts), TinyLlama, Yi, SmolLM.
// ReLU in place of SiLU (ProSparse, ReluLLaMA) where the file says so.
// GGUF files hold queries and keys permuted, so that rope pairs neighbours.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> llama(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec.experts.normalise = true;
  spec = TRY(common(from, std::move(spec)));
  spec.activation = TRY(activation_or(from, spec.activation));
  TRY(windows(from, 0, 0, spec));
  return spec;
}

}  // namespace varve::arch
