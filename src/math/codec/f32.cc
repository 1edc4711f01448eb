// f32: plain floats. GGUF type 0.
#include "math/codec/kernel_codec.h"

namespace varve::codec {
namespace {

class F32 : public KernelCodec<Format::f32> {
 public:
  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), values.size_bytes());
  }
};

}  // namespace

Made f32(const Spec& spec) {
  return make_codec<F32>(spec);
}

}  // namespace varve::codec
