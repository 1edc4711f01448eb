// q5_k: 256 values, for each 32 a 6-bit scale and min, 5-bit quants: 5.5 bits a value. GGUF type 13.
#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockQ5K& out) {
  const KScales k = encode_k_scales(x, 31);
  out.d = k.d, out.m = k.m;
  std::memcpy(out.scales, k.packed, sizeof(out.scales));
  for (size_t i = 0; i < 128; ++i) {
    const uint8_t* low = k.q + i / 32 * 64 + i % 32;
    out.q[i] = uint8_t((low[0] & 15) | (low[32] & 15) << 4);
  }
  for (size_t i = 0; i < 256; ++i) {
    out.high[i % 32] = uint8_t(out.high[i % 32] | k.q[i] >> 4 << i / 32);
  }
}

}  // namespace

Made q5_k(const Spec& spec) {
  return make_codec<BlockCodec<Format::q5_k, BlockQ5K, encode_block>>(spec);
}

}  // namespace varve::codec
