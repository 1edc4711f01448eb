// bf16: the upper half of an f32, rounded to nearest. GGUF type 30.
#include "math/codec/kernel_codec.h"

namespace varve::codec {

Made bf16(const Spec& spec) {
  return make_codec<HalfCodec<Format::bf16, &Kernels::encode_bf16>>(spec);
}

}  // namespace varve::codec
