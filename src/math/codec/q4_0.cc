// q4_0: 32 values, one f16 scale, 4-bit in [-8, 7]: 4.5 bits a value. The extreme value is -8 scales. GGUF
// type 2.
#include <algorithm>

#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockQ4_0& out) {
  const float* extreme =
      std::max_element(x, x + 32, [](float a, float b) { return std::abs(a) < std::abs(b); });
  out.d = f32_to_f16(*extreme / -8);
  const float inverse = inverse_of(f16_to_f32(out.d));
  const auto quant = [&](float value) { return rounded(value * inverse + 8, 0, 15); };
  for (size_t i = 0; i < 16; ++i) out.q[i] = uint8_t(quant(x[i]) | quant(x[i + 16]) << 4);
}

}  // namespace

Made q4_0(const Spec& spec) {
  return make_codec<BlockCodec<Format::q4_0, BlockQ4_0, encode_block>>(spec);
}

}  // namespace varve::codec
