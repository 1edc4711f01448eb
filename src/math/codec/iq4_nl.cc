// iq4_nl: 32 values, one f16 scale, 4-bit indices into 16 uneven levels: 4.5 bits a value. GGUF type 20.
#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockIq4Nl& out) {
  out.d = f32_to_f16(fit_codebook(x, 32));
  const float inverse = inverse_of(f16_to_f32(out.d));
  const auto quant = [&](float value) { return nearest_in_codebook(value * inverse); };
  for (size_t i = 0; i < 16; ++i) out.q[i] = uint8_t(quant(x[i]) | quant(x[i + 16]) << 4);
}

}  // namespace

Made iq4_nl(const Spec& spec) {
  return make_codec<BlockCodec<Format::iq4_nl, BlockIq4Nl, encode_block>>(spec);
}

}  // namespace varve::codec
