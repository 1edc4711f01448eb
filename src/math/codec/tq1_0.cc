// tq1_0: 256 values of {-1, 0, 1} times one f16 scale, five in a byte: 1.6875 bits a value. GGUF type 34.
#include <algorithm>

#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

// Digits in base 3, first value first, as a fraction of 256: reading multiplies by 3 and takes the carry.
uint8_t pack(const float* x, size_t digits, size_t apart, float inverse) {
  int number = 0;
  for (size_t i = 0; i < 5; ++i) {
    number = number * 3 + (i < digits ? rounded(x[i * apart] * inverse, -1, 1) + 1 : 0);
  }
  return uint8_t((number * 256 + 242) / 243);
}

void encode_block(const float* x, BlockTq1& out) {
  float largest = 0;
  for (size_t i = 0; i < 256; ++i) largest = std::max(largest, std::abs(x[i]));
  out.d = f32_to_f16(largest);
  const float inverse = inverse_of(f16_to_f32(out.d));
  for (size_t i = 0; i < 32; ++i) out.q[i] = pack(x + i, 5, 32, inverse);
  for (size_t i = 0; i < 16; ++i) out.q[32 + i] = pack(x + 160 + i, 5, 16, inverse);
  for (size_t i = 0; i < 4; ++i) out.rest[i] = pack(x + 240 + i, 4, 4, inverse);
}

}  // namespace

Made tq1_0(const Spec& spec) {
  return make_codec<BlockCodec<Format::tq1_0, BlockTq1, encode_block>>(spec);
}

}  // namespace varve::codec
