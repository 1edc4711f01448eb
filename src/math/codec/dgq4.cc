// dgq4: DGQ, dual grained quantisation (Zhang et al. 2023): codes of 4 bits whose groups have whole-number
// scales and zeros, so that a value is an 8-bit whole number before one scale of floats. There a row has one
// scale; here 256 values, so that a block decodes alone. 4.31 bits. No type of GGUF.
#include <algorithm>
#include <array>
#include <cstring>

#include "math/codec/expansion.h"
#include "math/codec/grid.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

constexpr size_t kValues = 256, kGroup = 32, kGroups = kValues / kGroup;
constexpr int kLevels = 15, kMostScale = 15, kMost = 127;  // of codes; of what groups are multiples of

using Block = BlockDgq4;
Block& as_block(std::byte* block) {
  return *reinterpret_cast<Block*>(block);  // lies at an even place
}

void begin(const Line& largest, Block& out) {
  out.d = f32_to_f16(std::clamp(largest.scale / kMostScale, -65504.f, 65504.f));
}
int zero_of(const Line& line) {
  return rounded(line.min * inverse_of(line.scale), 0, kLevels);
}
int most_with(int zero) {  // how far codes reach says which scales keep all of them in 8 bits
  return std::min(kMostScale, kMost / std::max(zero, kLevels - zero));
}
Line set_line(size_t group, const Line& wanted, Block& out) {
  const float d = f16_to_f32(out.d);
  const int near = rounded(wanted.scale * inverse_of(d), 0, kMostScale);
  const int zero = zero_of({d * float(near), wanted.min}), scale = std::min(near, most_with(zero));
  out.groups[group] = uint8_t(scale | zero << 4);
  return {d * float(scale), d * float(scale * zero)};
}
void set_code(size_t at, uint8_t code, Block& out) {
  uint8_t& pair = out.q[at / kGroup * 16 + at % 16];
  const size_t shift = at % kGroup / 16 * 4;
  pair = uint8_t((pair & ~(15 << shift)) | code << shift);
}

double error_of(const Line& line, const float* x) {
  double error = 0;
  for (size_t i = 0; i < kGroup; ++i) {
    const int code = rounded((x[i] + line.min) * inverse_of(line.scale), 0, kLevels);
    const double off = double(x[i]) - double(line.scale * float(code) - line.min);
    error += off * off;
  }
  return error;
}

// Codes that need not reach both ends, moved so that the zero lies in the middle: there scales may be
// largest.
Line central_line(const float* x) {
  const Line all = fit_line(x, kGroup, kLevels), some = fit_line(x, kGroup, kLevels - 2);
  Line line = error_of(some, x) < error_of(all, x) ? some : all;
  const auto [least, most] = std::minmax_element(x, x + kGroup);
  const auto code = [&](float value) {
    return rounded((value + line.min) * inverse_of(line.scale), 0, kLevels);
  };
  line.min +=
      line.scale * float(std::clamp(kLevels / 2 - zero_of(line), -code(*least), kLevels - code(*most)));
  return line;
}

// The best of what the block can hold near a line.
Line fit_within(size_t group, const Line& wanted, const float* x, Block& out) {
  const float d = f16_to_f32(out.d);
  Line best = wanted;
  double least = INFINITY;
  for (int s = -1; s <= 1; ++s) {
    for (int z = -1; z <= 1; ++z) {
      const float scale = wanted.scale + float(s) * d;
      const Line got = set_line(group, {scale, wanted.min + float(z) * scale}, out);
      if (const double error = error_of(got, x); error < least) least = error, best = got;
    }
  }
  return set_line(group, best, out);
}

void encode_block(const float* x, Block& out) {
  std::array<Line, kGroups> lines;
  Line largest;
  for (size_t i = 0; i < kGroups; ++i) {
    lines[i] = central_line(x + kGroup * i);
    const float shrink = float(kMostScale) / float(most_with(zero_of(lines[i])));
    largest.scale = std::max(largest.scale, lines[i].scale * shrink);
  }
  begin(largest, out);
  for (size_t i = 0; i < kValues; ++i) {
    if (i % kGroup == 0) lines[i / kGroup] = fit_within(i / kGroup, lines[i / kGroup], x + i, out);
    const Line& line = lines[i / kGroup];
    set_code(i, uint8_t(rounded((x[i] + line.min) * inverse_of(line.scale), 0, kLevels)), out);
  }
}

class DualGrained : public ExpandedCodec {
 public:
  std::string_view name() const override { return "dgq4"; }
  size_t block_values() const override { return kValues; }
  size_t block_bytes() const override { return sizeof(Block); }
  std::optional<uint32_t> gguf_type() const override { return kOwnTypes + 6; }

  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    std::byte* to = bytes.data();
    for (size_t at = 0; at < values.size(); at += kValues, to += sizeof(Block)) {
      Block block{};
      encode_block(values.data() + at, block);
      std::memcpy(to, &block, sizeof(block));
    }
  }
};

constexpr std::array<float, 16> kSteps = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr Grid kGrid{
    .group = kGroup,
    .levels = kSteps,
    .mins = true,
    .multiples = kMostScale,
    .negative = false,
    .tied = true,
    .begin = [](const Line& largest, std::byte* block) { begin(largest, as_block(block)); },
    .set_line = [](size_t group, const Line& wanted,
                   std::byte* block) { return set_line(group, wanted, as_block(block)); },
    .set_code = [](size_t at, uint8_t code, std::byte* block) { set_code(at, code, as_block(block)); }};

}  // namespace

const Grid& dual_grid() {
  return kGrid;
}

Made dgq4(const Spec& spec) {
  return make_codec<DualGrained>(spec);
}

}  // namespace varve::codec
