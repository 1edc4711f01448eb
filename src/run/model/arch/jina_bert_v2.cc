// Jina Embeddings 2 (Guenther et al. 2023): BERT with ALiBi instead of positions and a GELU gate.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> jina_bert_v2(const HyperParameters& from) {
  DecoderSpec spec = encoder();
  spec.alibi = TRY(from.number_or("attention.max_alibi_bias", 8, 0.1, 64));
  spec.activation = Activation::gelu_erf;
  spec = TRY(common(from, std::move(spec)));
  TRY(encoder_tables(from, spec));
  return spec;
}

}  // namespace varve::arch
