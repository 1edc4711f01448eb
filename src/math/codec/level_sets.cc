// See level_sets.h. A block is d (f16), a byte for each group (its scale as a multiple of d, the set in the
// two high bits), and codes: those of eight values in as many bytes as a code has bits, low bits first.
#include "math/codec/level_sets.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

constexpr int kMostScale = 63;
constexpr size_t kHead = 2 + kSetGroups;  // before the codes

float step_of(const std::byte* block) {
  uint16_t d;
  std::memcpy(&d, block, 2);
  return f16_to_f32(d);
}
void set_step(float largest, std::byte* block) {
  const uint16_t d = f32_to_f16(std::clamp(largest / kMostScale, -65504.f, 65504.f));
  std::memcpy(block, &d, 2);
}
size_t choice_of(size_t group, const std::byte* block) {
  return size_t(block[2 + group]) >> 6;
}
void set_choice(size_t group, size_t set, std::byte* block) {
  block[2 + group] = (block[2 + group] & std::byte(63)) | std::byte(set << 6);
}
Line set_line(size_t group, const Line& wanted, std::byte* block) {
  const float d = step_of(block);
  const int scale = rounded(wanted.scale * inverse_of(d), 0, kMostScale);
  block[2 + group] = (block[2 + group] & std::byte(0xc0)) | std::byte(scale);
  return {d * float(scale), 0};
}
template <size_t bits>
void set_code(size_t at, uint8_t code, std::byte* block) {
  uint32_t eight = 0;
  std::byte* place = block + kHead + at / 8 * bits;
  std::memcpy(&eight, place, bits);
  const size_t shift = at % 8 * bits;
  eight = (eight & ~(((1u << bits) - 1) << shift)) | uint32_t(code) << shift;
  std::memcpy(place, &eight, bits);
}
constexpr void (*kSetCode[])(size_t, uint8_t, std::byte*) = {nullptr, nullptr, set_code<2>, set_code<3>,
                                                             set_code<4>};

void encode_block(size_t bits, std::span<const float> sets, const float* x, std::byte* to) {
  const size_t levels = size_t(1) << bits;
  std::array<float, kSetGroups> scales{};
  for (size_t group = 0; group < kSetGroups; ++group) {
    double least = INFINITY;
    for (size_t set = 0; set < kSets; ++set) {
      const FittedLevels fitted =
          fit_levels(x + group * kSetGroup, kSetGroup, sets.subspan(set * levels, levels));
      if (fitted.error < least)
        least = fitted.error, scales[group] = fitted.scale, set_choice(group, set, to);
    }
  }
  set_step(*std::max_element(scales.begin(), scales.end()), to);
  for (size_t group = 0; group < kSetGroups; ++group) {
    const float inverse = inverse_of(set_line(group, {scales[group], 0}, to).scale);
    const auto own = sets.subspan(choice_of(group, to) * levels, levels);
    for (size_t i = group * kSetGroup; i < (group + 1) * kSetGroup; ++i)
      kSetCode[bits](i, nearest_level(own, x[i] * inverse), to);
  }
}

}  // namespace

void encode_sets(size_t bits, std::span<const float> sets, std::span<const float> values,
                 std::span<std::byte> bytes) {
  std::fill(bytes.begin(), bytes.end(), std::byte(0));
  for (size_t at = 0; at < values.size(); at += kSetValues)
    encode_block(bits, sets, values.data() + at, bytes.data() + at / kSetValues * set_block_bytes(bits));
}

void decode_sets(size_t bits, std::span<const float> sets, std::span<const std::byte> bytes,
                 std::span<float> values) {
  const std::byte* block = bytes.data();
  const uint32_t mask = (1u << bits) - 1;
  for (size_t at = 0; at < values.size(); at += kSetValues, block += set_block_bytes(bits)) {
    const float d = step_of(block);
    for (size_t i = 0; i < kSetValues; i += 8) {
      const auto byte = unsigned(block[2 + i / kSetGroup]);
      const float scale = d * float(byte & 63u), *levels = sets.data() + (size_t(byte >> 6) << bits);
      uint32_t eight = 0;
      std::memcpy(&eight, block + kHead + i / 8 * bits, bits);
      for (size_t j = 0; j < 8; ++j, eight >>= bits) values[at + i + j] = scale * levels[eight & mask];
    }
  }
}

Grid grid_of_sets(size_t bits, std::span<const float> sets) {
  return {.group = kSetGroup,
          .levels = sets.first(size_t(1) << bits),
          .multiples = kMostScale,
          .negative = false,
          .begin = [](const Line& largest, std::byte* block) { set_step(largest.scale, block); },
          .set_line = set_line,
          .set_code = kSetCode[bits],
          .even = false,
          .sets = sets,
          .set_choice = set_choice,
          .choice_of = choice_of};
}

}  // namespace varve::codec
