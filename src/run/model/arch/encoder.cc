// What all encoders read alike.
#include "run/model/arch/family.h"

namespace varve::arch {

DecoderSpec encoder() {
  DecoderSpec spec;
  spec.causal = false;
  spec.norm = NormKind::layer;
  spec.norm_before = false;
  spec.norm_sums = true;
  spec.embedding_norm = true;
  spec.readout = Readout::mean;
  return spec;
}

Status encoder_tables(const HyperParameters& from, DecoderSpec& spec) {
  const GgufTensor* types = from.gguf().tensor("token_types.weight");
  if (types == nullptr) return {};
  const int64_t rows = types->shape.size() == 2 ? types->shape[1] : 1;
  if (rows > 1 << 16) return Status(Code::invalid, "token_types.weight has too many rows");
  spec.token_types = int32_t(rows);
  return {};
}

}  // namespace varve::arch
