// q5_0: 32 values, one f16 scale, 5-bit in [-16, 15]: 5.5 bits a value. GGUF type 6.
#include <algorithm>

#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockQ5_0& out) {
  const float* extreme =
      std::max_element(x, x + 32, [](float a, float b) { return std::abs(a) < std::abs(b); });
  out.d = f32_to_f16(*extreme / -16);
  const float inverse = inverse_of(f16_to_f32(out.d));
  for (size_t i = 0; i < 32; ++i) {
    const int q = rounded(x[i] * inverse + 16, 0, 31);
    out.q[i % 16] = uint8_t(out.q[i % 16] | (q & 15) << i / 16 * 4);
    out.high[i / 8] = uint8_t(out.high[i / 8] | q >> 4 << i % 8);
  }
}

}  // namespace

Made q5_0(const Spec& spec) {
  return make_codec<BlockCodec<Format::q5_0, BlockQ5_0, encode_block>>(spec);
}

}  // namespace varve::codec
