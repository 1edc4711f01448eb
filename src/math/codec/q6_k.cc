// q6_k: 256 values, for each 16 an 8-bit scale, 6-bit quants in [-32, 31]: 6.5625 bits a value. GGUF type 14.
#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockQ6K& out) {
  float scales[16], extreme = 0;
  for (size_t i = 0; i < 16; ++i) {
    scales[i] = fit_scale(x + 16 * i, 16, -32);
    extreme = std::abs(scales[i]) > std::abs(extreme) ? scales[i] : extreme;
  }
  out.d = f32_to_f16(extreme / -128);
  const float d = f16_to_f32(out.d);
  for (size_t i = 0; i < 16; ++i) {
    out.scales[i] = int8_t(rounded(scales[i] * inverse_of(d), -128, 127));
    const float inverse = inverse_of(d * float(out.scales[i]));
    for (size_t j = 16 * i; j < 16 * i + 16; ++j) {
      const int q = rounded(x[j] * inverse + 32, 0, 63);
      const size_t half = j / 128, quarter = j % 128 / 32;
      uint8_t &low = out.low[half * 64 + j % 64], &high = out.high[half * 32 + j % 32];
      low = uint8_t(low | (q & 15) << quarter / 2 * 4);
      high = uint8_t(high | q >> 4 << quarter * 2);
    }
  }
}

}  // namespace

Made q6_k(const Spec& spec) {
  return make_codec<BlockCodec<Format::q6_k, BlockQ6K, encode_block>>(spec);
}

}  // namespace varve::codec
