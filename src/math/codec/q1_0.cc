// q1_0: 128 values of {-1, 1} times one f16 scale, their mean size: 1.125 bits a value. GGUF type 41.
#include <cmath>
#include <cstring>

#include "math/codec/expansion.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

constexpr size_t kValues = 128;
class Signs : public ExpandedCodec {
 public:
  std::string_view name() const override { return "q1_0"; }
  size_t block_values() const override { return kValues; }
  size_t block_bytes() const override { return sizeof(BlockQ1); }
  std::optional<uint32_t> gguf_type() const override { return 41; }

  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    std::byte* to = bytes.data();
    for (size_t at = 0; at < values.size(); at += kValues, to += sizeof(BlockQ1)) {
      BlockQ1 block{};
      float sum = 0;
      for (size_t i = 0; i < kValues; ++i) {
        sum += std::abs(values[at + i]);
        if (values[at + i] > 0) block.signs[i / 8] = uint8_t(block.signs[i / 8] | 1 << i % 8);
      }
      block.d = f32_to_f16(std::min(sum / kValues, 65504.f));
      std::memcpy(to, &block, sizeof(block));
    }
  }
};

}  // namespace

Made q1_0(const Spec& spec) {
  return make_codec<Signs>(spec);
}

}  // namespace varve::codec
