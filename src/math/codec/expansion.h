// Which codecs have products that go another way than their own kernels (math/kernel/side.h).
#pragma once

#include <algorithm>
#include <array>

#include "math/codec/kernel_codec.h"
#include "math/kernel/side.h"

namespace varve {

// How blocks of a codec become BlockExpanded; levels: of sets, as long-lived as the codec.
struct Expansion {
  explicit Expansion(Expanding how, const LevelTable* sets = nullptr)
      : expand(side_kernels().expand[size_t(how)]), levels(sets) {}
  void operator()(const std::byte* bytes, size_t values, BlockExpanded* out) const {
    expand(bytes, values, levels, out);
  }
  void (*expand)(const void* bytes, size_t values, const LevelTable* levels, BlockExpanded* out);
  const LevelTable* levels;
};
std::optional<Expansion> expansion_of(const Codec& codec);
bool is_rf8(const Codec& codec);

namespace codec {

// What the expanded codecs share: decode() goes the same way, so that a codec's file is its encode().
class ExpandedCodec : public Codec {
 public:
  void decode(std::span<const std::byte> bytes, std::span<float> values) const override {
    constexpr size_t kBlocks = 4;
    const Expansion expand = *expansion_of(*this);
    BlockExpanded blocks[kBlocks];
    for (size_t at = 0; at < values.size(); at += kBlocks * kPanel) {
      const size_t some = std::min(kBlocks * kPanel, values.size() - at);
      expand(bytes.data() + bytes_for(int64_t(at)), some, blocks);
      side_kernels().decode_expanded(blocks, some, values.data() + at);
    }
  }
};

}  // namespace codec
}  // namespace varve
