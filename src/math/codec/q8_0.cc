// q8_0: 32 values, one f16 scale, symmetric 8-bit: 8.5 bits a value. GGUF type 8.
#include <algorithm>
#include <cmath>

#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockQ8_0& out) {
  float largest = 0;
  for (size_t i = 0; i < 32; ++i) largest = std::max(largest, std::abs(x[i]));
  out.d = f32_to_f16(largest / 127);
  const float scale = f16_to_f32(out.d);
  const float inverse = scale > 0 ? 1 / scale : 0;
  for (size_t i = 0; i < 32; ++i) out.q[i] = int8_t(rounded(x[i] * inverse, -127, 127));
}

}  // namespace

Made q8_0(const Spec& spec) {
  return make_codec<BlockCodec<Format::q8_0, BlockQ8_0, encode_block>>(spec);
}

}  // namespace varve::codec
