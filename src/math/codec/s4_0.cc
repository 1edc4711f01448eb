// s4_0: load sparse, compute dense (Flash-LLM, Xia et al. 2023). 64 values of which the larger half is kept:
// a mask of 64 bits, one f16 scale, 32 values of 4 bits in [-8, 7]: 3.25 bits a value, at fixed places, so
// that a block is expanded alone. What a pruned row is stored in, two of every four too. No type of GGUF.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "math/codec/expansion.h"
#include "math/codec/fit.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

constexpr size_t kValues = 64, kKept = 32;
// The places of the larger half, ascending. What is not a number counts as 0.
std::array<uint8_t, kKept> larger_half(const float* x) {
  std::array<uint8_t, kValues> order;
  std::iota(order.begin(), order.end(), uint8_t(0));
  const auto size = [&](uint8_t i) { return std::isnan(x[i]) ? 0.f : std::abs(x[i]); };
  std::nth_element(order.begin(), order.begin() + kKept, order.end(),
                   [&](uint8_t a, uint8_t b) { return size(a) != size(b) ? size(a) > size(b) : a < b; });
  std::array<uint8_t, kKept> kept;
  std::copy_n(order.begin(), kKept, kept.begin());
  std::sort(kept.begin(), kept.end());
  return kept;
}

class SparseHalf : public ExpandedCodec {
 public:
  std::string_view name() const override { return "s4_0"; }
  size_t block_values() const override { return kValues; }
  size_t block_bytes() const override { return sizeof(BlockS4); }
  size_t kept_values() const override { return kKept; }
  std::optional<uint32_t> gguf_type() const override { return kOwnTypes + 1; }

  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    std::byte* to = bytes.data();
    for (size_t at = 0; at < values.size(); at += kValues, to += sizeof(BlockS4)) {
      const auto places = larger_half(values.data() + at);
      std::array<float, kKept> kept;
      for (size_t i = 0; i < kKept; ++i) kept[i] = values[at + places[i]];
      BlockS4 block{};
      block.d = f32_to_f16(fit_scale(kept.data(), kKept, -8));
      const float inverse = inverse_of(f16_to_f32(block.d));
      for (size_t i = 0; i < kKept; ++i) {
        uint8_t &mask = block.mask[places[i] / 8], &pair = block.q[i / 2];
        mask = uint8_t(mask | 1 << places[i] % 8);
        pair = uint8_t(pair | rounded(kept[i] * inverse + 8, 0, 15) << i % 2 * 4);
      }
      std::memcpy(to, &block, sizeof(block));
    }
  }
};

}  // namespace

Made s4_0(const Spec& spec) {
  return make_codec<SparseHalf>(spec);
}

}  // namespace varve::codec
