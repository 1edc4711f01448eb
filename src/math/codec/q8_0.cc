// q8_0: 32 values, one f16 scale, symmetric 8-bit: 8.5 bits a value. GGUF type 8.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "math/codec/codec.h"

namespace varve::codec {
namespace {

constexpr size_t kValues = 32;
struct Block {
  _Float16 scale;
  int8_t q[kValues];
};
static_assert(sizeof(Block) == 34);

class Q8_0 : public Codec {
 public:
  std::string_view name() const override { return "q8_0"; }
  size_t block_values() const override { return kValues; }
  size_t block_bytes() const override { return sizeof(Block); }
  std::optional<uint32_t> gguf_type() const override { return 8; }

  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    for (size_t at = 0; at < values.size(); at += kValues, bytes = bytes.subspan(sizeof(Block))) {
      float largest = 0;
      for (size_t i = 0; i < kValues; ++i) largest = std::max(largest, std::abs(values[at + i]));
      const float scale = largest / 127;
      const float inverse = scale > 0 ? 1 / scale : 0;
      Block block{static_cast<_Float16>(scale), {}};
      for (size_t i = 0; i < kValues; ++i)
        block.q[i] = static_cast<int8_t>(std::lround(values[at + i] * inverse));
      std::memcpy(bytes.data(), &block, sizeof(block));
    }
  }

  void decode(std::span<const std::byte> bytes, std::span<float> values) const override {
    for (size_t at = 0; at < values.size(); at += kValues, bytes = bytes.subspan(sizeof(Block))) {
      Block block;
      std::memcpy(&block, bytes.data(), sizeof(block));
      for (size_t i = 0; i < kValues; ++i) values[at + i] = static_cast<float>(block.scale) * block.q[i];
    }
  }
};

}  // namespace

Made q8_0(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Codec>(new Q8_0);
}

}  // namespace varve::codec
