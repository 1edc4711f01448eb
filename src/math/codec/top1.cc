// top1: 128 values of which the largest is kept, in half precision behind its place; the others are 0. 0.1875
// bits a value: what rounding lost of outliers, beside the weight that was rounded (learn/compress). No type
// of GGUF.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

constexpr size_t kValues = 128;
constexpr size_t kBytes = 3;  // the place, then the value

class Largest : public Codec {
 public:
  std::string_view name() const override { return "top1"; }
  size_t block_values() const override { return kValues; }
  size_t block_bytes() const override { return kBytes; }
  size_t kept_values() const override { return 1; }
  std::optional<uint32_t> gguf_type() const override { return kOwnTypes; }

  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    std::byte* to = bytes.data();
    for (size_t at = 0; at < values.size(); at += kValues, to += kBytes) {
      size_t place = 0;
      float most = 0;
      for (size_t i = 0; i < kValues; ++i) {
        if (std::abs(values[at + i]) > std::abs(most)) place = i, most = values[at + i];
      }
      const uint16_t half = f32_to_f16(std::clamp(most, -65504.f, 65504.f));
      to[0] = std::byte(place);
      std::memcpy(to + 1, &half, 2);
    }
  }
  void decode(std::span<const std::byte> bytes, std::span<float> values) const override {
    std::fill(values.begin(), values.end(), 0.f);
    const std::byte* from = bytes.data();
    for (size_t at = 0; at < values.size(); at += kValues, from += kBytes) {
      uint16_t half;
      std::memcpy(&half, from + 1, 2);
      values[at + size_t(from[0]) % kValues] = f16_to_f32(half);
    }
  }
};

}  // namespace

Made top1(const Spec& spec) {
  return make_codec<Largest>(spec);
}

}  // namespace varve::codec
