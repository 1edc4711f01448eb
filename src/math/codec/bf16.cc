// bf16: the upper half of an f32, rounded to nearest. GGUF type 30.
#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

void encode_one(const float* value, uint16_t& out) {
  out = f32_to_bf16(*value);
}

}  // namespace

Made bf16(const Spec& spec) {
  return make_codec<BlockCodec<Format::bf16, uint16_t, encode_one>>(spec);
}

}  // namespace varve::codec
