// BitMoD (Chen et al. 2025): floats of 3 or 4 bits have a zero too many; its code stands for one of four
// special values, chosen for each group: one between two levels, or one beyond them, of either sign. Here a
// group is 32 values and its scale 6 bits (128 and 8 there). No types of GGUF.
#pragma once

#include "math/codec/expansion.h"
#include "math/codec/level_sets.h"

namespace varve::codec {

template <size_t bits, const auto& sets>
class SpecialValues : public ExpandedCodec {
 public:
  std::string_view name() const override { return bits == 3 ? "bitmod3" : "bitmod4"; }
  size_t block_values() const override { return kSetValues; }
  size_t block_bytes() const override { return set_block_bytes(bits); }
  std::optional<uint32_t> gguf_type() const override { return kOwnTypes + uint32_t(bits); }
  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    encode_sets(bits, sets, values, bytes);
  }
};

// Levels are whole numbers of halves, none beyond 8.
template <size_t bits, const auto& sets>
constexpr LevelTable kLevelsOf = [] {
  LevelTable table{.levels = {}, .step = 0.5f, .offset = 16};
  for (size_t i = 0; i < std::size(sets); ++i)
    table.levels[i >> bits][i % (1 << bits)] = uint8_t(2 * sets[i] + 16);
  return table;
}();

}  // namespace varve::codec
