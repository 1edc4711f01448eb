// q2_k: 256 values, for each 16 a 4-bit scale and min, 2-bit quants: 2.625 bits a value. GGUF type 10.
#include <algorithm>

#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockQ2K& out) {
  Line lines[16], largest;
  for (size_t i = 0; i < 16; ++i) {
    lines[i] = fit_line(x + 16 * i, 16, 3);
    largest = {std::max(largest.scale, lines[i].scale), std::max(largest.min, lines[i].min)};
  }
  out.d = f32_to_f16(largest.scale / 15);
  out.m = f32_to_f16(largest.min / 15);
  const float d = f16_to_f32(out.d), m = f16_to_f32(out.m);
  for (size_t i = 0; i < 16; ++i) {
    const int scale = rounded(lines[i].scale * inverse_of(d), 0, 15);
    const int min = rounded(lines[i].min * inverse_of(m), 0, 15);
    out.scales[i] = uint8_t(scale | min << 4);
    const float inverse = inverse_of(d * float(scale));
    for (size_t j = 16 * i; j < 16 * i + 16; ++j) {
      const int q = rounded((x[j] + m * float(min)) * inverse, 0, 3);
      uint8_t& byte = out.q[j / 128 * 32 + j % 32];
      byte = uint8_t(byte | q << j % 128 / 32 * 2);
    }
  }
}

}  // namespace

Made q2_k(const Spec& spec) {
  return make_codec<BlockCodec<Format::q2_k, BlockQ2K, encode_block>>(spec);
}

}  // namespace varve::codec
