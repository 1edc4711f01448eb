// q4_k: 256 values, for each 32 a 6-bit scale and min, 4-bit quants: 4.5 bits a value. GGUF type 12.
#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_block(const float* x, BlockQ4K& out) {
  const KScales k = encode_k_scales(x, 15);
  out.d = k.d, out.m = k.m;
  std::memcpy(out.scales, k.packed, sizeof(out.scales));
  for (size_t i = 0; i < 128; ++i) {
    const uint8_t* low = k.q + i / 32 * 64 + i % 32;
    out.q[i] = uint8_t(low[0] | low[32] << 4);
  }
}

}  // namespace

Made q4_k(const Spec& spec) {
  return make_codec<BlockCodec<Format::q4_k, BlockQ4K, encode_block>>(spec);
}

}  // namespace varve::codec
