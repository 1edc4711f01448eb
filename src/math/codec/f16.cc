// f16: IEEE half precision, rounded to nearest. GGUF type 1.
#include <array>

#include "math/codec/kernel_codec.h"

namespace varve::codec {
namespace {

class F16 : public KernelCodec<Format::f16> {
 public:
  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    std::array<uint16_t, 256> part;  // the bytes may be unaligned
    for (size_t at = 0; at < values.size(); at += part.size()) {
      const size_t n = std::min(part.size(), values.size() - at);
      kernels().encode_f16(values.data() + at, n, part.data());
      std::memcpy(bytes.data() + 2 * at, part.data(), 2 * n);
    }
  }
};

}  // namespace

Made f16(const Spec& spec) {
  return make_codec<F16>(spec);
}

}  // namespace varve::codec
