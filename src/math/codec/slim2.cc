// slim2: SliM-LLM's groups of unequal bits (Huang et al. 2024) in blocks of one size: 256 values, for each 32
// a 4-bit scale and min and codes of 1, 2 or 3 bits, 2 in the mean: 2.44 bits a value. Who rounds by what
// inputs were seen gives each group the bits that it is worth (learn/compress); encode() gives all of them 2.
// No type of GGUF.
#include <algorithm>
#include <cstring>

#include "math/codec/expansion.h"
#include "math/codec/grid.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

constexpr size_t kGroup = 32, kGroups = 8, kValues = kGroup * kGroups, kPlanes = 16;
constexpr int kLevels = 3;  // of 2 bits, above 0

struct Block : BlockSlim2 {
  size_t width(size_t group) const { return widths >> 2 * group & 3; }
  void put(size_t plane, size_t at, int bit) {
    uint8_t& byte = planes[plane][at / 8];
    byte = uint8_t((byte & ~(1 << at % 8)) | (bit & 1) << at % 8);
  }
};
Block& as_block(std::byte* block) {
  return *reinterpret_cast<Block*>(block);  // lies at an even place
}

void begin(const Line& largest, Block& out) {
  const auto fifteenth = [](float value) { return f32_to_f16(std::clamp(value / 15, -65504.f, 65504.f)); };
  out.d = fifteenth(largest.scale), out.m = fifteenth(largest.min);
}
Line set_line(size_t group, const Line& wanted, Block& out) {
  const float d = f16_to_f32(out.d), m = f16_to_f32(out.m);
  const int scale = rounded(wanted.scale * inverse_of(d), 0, 15),
            min = rounded(wanted.min * inverse_of(m), 0, 15);
  out.scales[group] = uint8_t(scale | min << 4);
  return {d * float(scale), m * float(min)};
}

void encode_block(const float* x, Block& out) {
  Line lines[kGroups], largest;
  for (size_t i = 0; i < kGroups; ++i) {
    lines[i] = fit_line(x + kGroup * i, kGroup, kLevels);
    largest = {std::max(largest.scale, lines[i].scale), std::max(largest.min, lines[i].min)};
  }
  out.widths = 0xaaaa;
  begin(largest, out);
  for (size_t group = 0; group < kGroups; ++group) {
    const Line line = set_line(group, lines[group], out);
    for (size_t i = 0; i < kGroup; ++i) {
      const int q = rounded((x[group * kGroup + i] + line.min) * inverse_of(line.scale), 0, kLevels);
      out.put(2 * group, i, q), out.put(2 * group + 1, i, q >> 1);
    }
  }
}

class UnequalBits : public ExpandedCodec {
 public:
  std::string_view name() const override { return "slim2"; }
  size_t block_values() const override { return kValues; }
  size_t block_bytes() const override { return sizeof(Block); }
  std::optional<uint32_t> gguf_type() const override { return kOwnTypes + 2; }

  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    std::byte* to = bytes.data();
    for (size_t at = 0; at < values.size(); at += kValues, to += sizeof(Block)) {
      Block block{};
      encode_block(values.data() + at, block);
      std::memcpy(to, &block, sizeof(block));
    }
  }
};

constexpr std::array<float, 8> kSteps = {0, 1, 2, 3, 4, 5, 6, 7};
constexpr Grid kGrid{
    .group = kGroup,
    .levels = kSteps,
    .mins = true,
    .multiples = 15,
    .negative = false,
    .begin = [](const Line& largest, std::byte* block) { begin(largest, as_block(block)); },
    .set_line = [](size_t group, const Line& wanted,
                   std::byte* block) { return set_line(group, wanted, as_block(block)); },
    .set_code =
        [](size_t at, uint8_t code, std::byte* block) {
          Block& to = as_block(block);
          size_t plane = 0;
          for (size_t group = 0; group < at / kGroup; ++group) plane += to.width(group);
          for (size_t bit = 0; bit < to.width(at / kGroup); ++bit)
            to.put(plane + bit, at % kGroup, code >> bit);
        },
    .widths = kPlanes,
    .set_widths =
        [](std::span<const uint8_t> widths, std::byte* block) {
          Block& to = as_block(block);
          to = {};
          for (size_t i = 0; i < widths.size(); ++i) to.widths = uint16_t(to.widths | widths[i] << 2 * i);
        },
    .width_of = [](size_t group,
                   const std::byte* block) { return reinterpret_cast<const Block*>(block)->width(group); }};

}  // namespace

Made slim2(const Spec& spec) {
  return make_codec<UnequalBits>(spec);
}

}  // namespace varve::codec

namespace varve {
const Grid& slim2_grid() {
  return codec::kGrid;
}
}  // namespace varve
