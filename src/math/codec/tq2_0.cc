// tq2_0: 256 values of {-1, 0, 1} times one f16 scale, four in a byte: 2.0625 bits a value. GGUF type 35.
#include <algorithm>

#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockTq2& out) {
  float largest = 0;
  for (size_t i = 0; i < 256; ++i) largest = std::max(largest, std::abs(x[i]));
  out.d = f32_to_f16(largest);
  const float inverse = inverse_of(f16_to_f32(out.d));
  for (size_t i = 0; i < 256; ++i) {
    uint8_t& byte = out.q[i / 128 * 32 + i % 32];
    byte = uint8_t(byte | (rounded(x[i] * inverse, -1, 1) + 1) << i % 128 / 32 * 2);
  }
}

}  // namespace

Made tq2_0(const Spec& spec) {
  return make_codec<BlockCodec<Format::tq2_0, BlockTq2, encode_block>>(spec);
}

}  // namespace varve::codec
