// f16: IEEE half precision, rounded to nearest. GGUF type 1.
#include "math/codec/kernel_codec.h"

namespace varve::codec {

Made f16(const Spec& spec) {
  return make_codec<HalfCodec<Format::f16, &Kernels::encode_f16>>(spec);
}

}  // namespace varve::codec
