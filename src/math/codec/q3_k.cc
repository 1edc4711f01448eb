// q3_k: 256 values, for each 16 a signed 6-bit scale, 3-bit quants in [-4, 3]: 3.4375 bits a value. GGUF
// type 11.
#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockQ3K& out) {
  float scales[16], extreme = 0;
  for (size_t i = 0; i < 16; ++i) {
    scales[i] = fit_scale(x + 16 * i, 16, -4);
    extreme = std::abs(scales[i]) > std::abs(extreme) ? scales[i] : extreme;
  }
  out.d = f32_to_f16(extreme / -32);
  const float d = f16_to_f32(out.d);
  for (size_t i = 0; i < 16; ++i) {
    const int scale = rounded(scales[i] * inverse_of(d), -32, 31), stored = scale + 32;
    out.scales[i % 8] = uint8_t(out.scales[i % 8] | (stored & 15) << i / 8 * 4);
    out.scales[8 + i % 4] = uint8_t(out.scales[8 + i % 4] | stored >> 4 << i / 4 * 2);
    const float inverse = inverse_of(d * float(scale));
    for (size_t j = 16 * i; j < 16 * i + 16; ++j) {
      const int q = rounded(x[j] * inverse + 4, 0, 7);
      uint8_t &low = out.q[j / 128 * 32 + j % 32], &high = out.high[j % 32];
      low = uint8_t(low | (q & 3) << j % 128 / 32 * 2);
      high = uint8_t(high | q >> 2 << j / 32);
    }
  }
}

}  // namespace

Made q3_k(const Spec& spec) {
  return make_codec<BlockCodec<Format::q3_k, BlockQ3K, encode_block>>(spec);
}

}  // namespace varve::codec
