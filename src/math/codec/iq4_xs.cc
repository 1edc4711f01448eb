// iq4_xs: the 16 levels of iq4_nl with a 6-bit scale for each 32 of 256 values: 4.25 bits a value. GGUF
// type 23.
#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

// An index whatever the scale: level 0 is not in the codebook, so a scale of 0 is what makes a zero.
void encode_block(const float* x, BlockIq4Xs& out) {
  float scales[8], extreme = 0;
  for (size_t i = 0; i < 8; ++i) {
    scales[i] = fit_codebook(x + 32 * i, 32);
    extreme = std::abs(scales[i]) > std::abs(extreme) ? scales[i] : extreme;
  }
  out.d = f32_to_f16(extreme / -32);
  const float d = f16_to_f32(out.d);
  for (size_t i = 0; i < 8; ++i) {
    const int scale = rounded(scales[i] * inverse_of(d), -32, 31), stored = scale + 32;
    out.scales_low[i / 2] = uint8_t(out.scales_low[i / 2] | (stored & 15) << i % 2 * 4);
    out.scales_high = uint16_t(out.scales_high | stored >> 4 << 2 * i);
    const float inverse = inverse_of(d * float(scale));
    const auto quant = [&](size_t j) { return nearest_in_codebook(x[32 * i + j] * inverse); };
    for (size_t j = 0; j < 16; ++j) out.q[16 * i + j] = uint8_t(quant(j) | quant(j + 16) << 4);
  }
}

}  // namespace

Made iq4_xs(const Spec& spec) {
  return make_codec<BlockCodec<Format::iq4_xs, BlockIq4Xs, encode_block>>(spec);
}

}  // namespace varve::codec
