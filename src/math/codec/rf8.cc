// rf8: 8-bit floats for weights that lie as generalized Gaussians do, dense about 0 (RF8: Wu et al. 2025): a
// sign, 4 bits of exponent, 3 of mantissa, small ones evenly spaced, nothing that is no number; a power of
// two for each 128 puts the largest where the exponents end. 8.06 bits a value. No type of GGUF.
#include <algorithm>
#include <array>
#include <cmath>

#include "math/codec/fit.h"
#include "math/codec/kernel_codec.h"
#include "math/kernel/side.h"

namespace varve::codec {
namespace {

constexpr size_t kValues = 128, kBytes = kValues + 1;
constexpr int kReach = 18;  // the largest magnitude is 15/16 of 2^18
constexpr std::array<float, 128> kSizes = [] {
  std::array<float, 128> sizes{};
  for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = i < 8 ? float(i) : float((8 + i % 8) << (i / 8 - 1));
  return sizes;
}();

class SmallFloat : public Codec {
 public:
  std::string_view name() const override { return "rf8"; }
  size_t block_values() const override { return kValues; }
  size_t block_bytes() const override { return kBytes; }
  std::optional<uint32_t> gguf_type() const override { return kOwnTypes + 5; }

  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    std::byte* to = bytes.data();
    for (size_t at = 0; at < values.size(); at += kValues, to += kBytes) {
      float most = 0;
      for (size_t i = 0; i < kValues; ++i) {
        const float size = std::abs(values[at + i]);
        if (size > most && size < INFINITY) most = size;
      }
      int exponent = 0;
      const float share = std::frexp(most, &exponent);
      exponent = most > 0 ? std::clamp(exponent + (share < 0.96875f ? 0 : 1), -128, 127) : -128;
      to[0] = std::byte(exponent);
      for (size_t i = 0; i < kValues; ++i) {
        const float size = std::ldexp(std::abs(values[at + i]), kReach - exponent);
        to[1 + i] = std::byte(nearest_level(kSizes, size) | (std::signbit(values[at + i]) ? 0x80 : 0));
      }
    }
  }
  void decode(std::span<const std::byte> bytes, std::span<float> values) const override {
    side_kernels().decode_rf8(bytes.data(), values.size(), values.data());
  }
};

}  // namespace

Made rf8(const Spec& spec) {
  return make_codec<SmallFloat>(spec);
}

}  // namespace varve::codec
