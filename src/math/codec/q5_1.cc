// q5_1: 32 values between a least value and 31 steps above it, both f16: 6 bits a value. GGUF type 7.
#include <algorithm>

#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockQ5_1& out) {
  const auto [least, most] = std::minmax_element(x, x + 32);
  out.m = f32_to_f16(*least);
  out.d = f32_to_f16((*most - *least) / 31);
  const float low = f16_to_f32(out.m), inverse = inverse_of(f16_to_f32(out.d));
  for (size_t i = 0; i < 32; ++i) {
    const int q = rounded((x[i] - low) * inverse, 0, 31);
    out.q[i % 16] = uint8_t(out.q[i % 16] | (q & 15) << i / 16 * 4);
    out.high[i / 8] = uint8_t(out.high[i / 8] | q >> 4 << i % 8);
  }
}

}  // namespace

Made q5_1(const Spec& spec) {
  return make_codec<BlockCodec<Format::q5_1, BlockQ5_1, encode_block>>(spec);
}

}  // namespace varve::codec
