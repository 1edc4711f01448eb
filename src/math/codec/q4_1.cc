// q4_1: 32 values between a least value and 15 steps above it, both f16: 5 bits a value. GGUF type 3.
#include <algorithm>

#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockQ4_1& out) {
  const auto [least, most] = std::minmax_element(x, x + 32);
  out.m = f32_to_f16(*least);
  out.d = f32_to_f16((*most - *least) / 15);
  const float low = f16_to_f32(out.m), inverse = inverse_of(f16_to_f32(out.d));
  const auto quant = [&](float value) { return rounded((value - low) * inverse, 0, 15); };
  for (size_t i = 0; i < 16; ++i) out.q[i] = uint8_t(quant(x[i]) | quant(x[i + 16]) << 4);
}

}  // namespace

Made q4_1(const Spec& spec) {
  return make_codec<BlockCodec<Format::q4_1, BlockQ4_1, encode_block>>(spec);
}

}  // namespace varve::codec
