#include "math/codec/grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "math/codec/codebook.h"
#include "math/codec/kernel_codec.h"
#include "math/codec/planes.h"
#include "math/kernel/half.h"

namespace varve {
namespace {

using codec::inverse_of;
using codec::Line;
using codec::rounded;

template <int low, size_t count>
constexpr std::array<float, count> steps() {  // low, low + 1, ...
  std::array<float, count> levels{};
  for (size_t i = 0; i < count; ++i) levels[i] = float(low + int(i));
  return levels;
}
template <int low, size_t count>
constexpr std::array<float, count> kSteps = steps<low, count>();

constexpr std::array<float, 16> kUneven = [] {
  std::array<float, 16> levels{};
  for (size_t i = 0; i < 16; ++i) levels[i] = float(kIq4Values[i]);
  return levels;
}();

// The bits [at, at + width) of a byte.
void put(uint8_t& byte, int value, size_t at, int width) {
  const int mask = ((1 << width) - 1) << at;
  byte = uint8_t((byte & ~mask) | (value << at & mask));
}

uint16_t half(float value) {
  return f32_to_f16(std::clamp(value, -65504.f, 65504.f));
}

template <class Block>
Block& as(std::byte* block) {  // blocks are bytes and 16-bit numbers, and lie at even places
  return *reinterpret_cast<Block*>(block);
}

// One f16 scale a block, and a min where it has one.
template <class Block>
Line set_own(size_t, const Line& wanted, std::byte* block) {
  auto& to = as<Block>(block);
  to.d = half(wanted.scale);
  if constexpr (requires { to.m; }) {
    to.m = half(-wanted.min);
    return {f16_to_f32(to.d), -f16_to_f32(to.m)};
  }
  return {f16_to_f32(to.d), 0};
}

// Scales (and mins) that are multiples of d (and m): `least` is the multiple of largest magnitude.
template <class Block, int least>
void begin(const Line& largest, std::byte* block) {
  auto& to = as<Block>(block);
  to.d = half(largest.scale / float(least));
  if constexpr (requires { to.m; }) to.m = half(largest.min / float(least));
}
template <class Block>
int multiple(const Block& block, const Line& wanted, int low, int high) {
  return rounded(wanted.scale * inverse_of(f16_to_f32(block.d)), low, high);
}

Line line_q2(size_t group, const Line& wanted, std::byte* block) {
  auto& to = as<BlockQ2K>(block);
  const float m = f16_to_f32(to.m);
  const int scale = multiple(to, wanted, 0, 15), min = rounded(wanted.min * inverse_of(m), 0, 15);
  to.scales[group] = uint8_t(scale | min << 4);
  return {f16_to_f32(to.d) * float(scale), m * float(min)};
}
Line line_q3(size_t group, const Line& wanted, std::byte* block) {
  auto& to = as<BlockQ3K>(block);
  const int scale = multiple(to, wanted, -32, 31), stored = scale + 32;
  put(to.scales[group % 8], stored & 15, group / 8 * 4, 4);
  put(to.scales[8 + group % 4], stored >> 4, group / 4 * 2, 2);
  return {f16_to_f32(to.d) * float(scale), 0};
}
template <class Block>  // q4_k, q5_k
Line line_q4(size_t group, const Line& wanted, std::byte* block) {
  auto& to = as<Block>(block);
  const float m = f16_to_f32(to.m);
  const int scale = multiple(to, wanted, 0, 63), min = rounded(wanted.min * inverse_of(m), 0, 63);
  const size_t at = group % 4;
  if (group < 4) {
    put(to.scales[at], scale, 0, 6), put(to.scales[at + 4], min, 0, 6);
  } else {
    put(to.scales[at + 8], scale & 15, 0, 4), put(to.scales[at + 8], min & 15, 4, 4);
    put(to.scales[at], scale >> 4, 6, 2), put(to.scales[at + 4], min >> 4, 6, 2);
  }
  return {f16_to_f32(to.d) * float(scale), m * float(min)};
}
Line line_q6(size_t group, const Line& wanted, std::byte* block) {
  auto& to = as<BlockQ6K>(block);
  to.scales[group] = int8_t(multiple(to, wanted, -128, 127));
  return {f16_to_f32(to.d) * float(to.scales[group]), 0};
}
Line line_iq4(size_t group, const Line& wanted, std::byte* block) {
  auto& to = as<BlockIq4Xs>(block);
  const int scale = multiple(to, wanted, -32, 31), stored = scale + 32;
  put(to.scales_low[group / 2], stored & 15, group % 2 * 4, 4);
  to.scales_high = uint16_t((to.scales_high & ~(3 << 2 * group)) | stored >> 4 << 2 * group);
  return {f16_to_f32(to.d) * float(scale), 0};
}

void code_q8(size_t at, uint8_t code, std::byte* block) {
  as<BlockQ8_0>(block).q[at] = int8_t(int(code) - 127);
}
template <class Block>  // blocks of 32: nibbles, and a fifth bit where there is one
void code_32(size_t at, uint8_t code, std::byte* block) {
  auto& to = as<Block>(block);
  put(to.q[at % 16], code & 15, at / 16 * 4, 4);
  if constexpr (requires { to.high; }) put(to.high[at / 8], code >> 4, at % 8, 1);
}
template <class Block>  // q2_k, tq2_0
void code_2(size_t at, uint8_t code, std::byte* block) {
  put(as<Block>(block).q[at / 128 * 32 + at % 32], code, at % 128 / 32 * 2, 2);
}
void code_q3(size_t at, uint8_t code, std::byte* block) {
  code_2<BlockQ3K>(at, code & 3, block);
  put(as<BlockQ3K>(block).high[at % 32], code >> 2, at / 32, 1);
}
template <class Block>  // q4_k, q5_k
void code_4(size_t at, uint8_t code, std::byte* block) {
  auto& to = as<Block>(block);
  put(to.q[at / 64 * 32 + at % 32], code & 15, at % 64 / 32 * 4, 4);
  if constexpr (requires { to.high; }) put(to.high[at % 32], code >> 4, at / 32, 1);
}
void code_q6(size_t at, uint8_t code, std::byte* block) {
  auto& to = as<BlockQ6K>(block);
  const size_t half_block = at / 128, quarter = at % 128 / 32;
  put(to.low[half_block * 64 + at % 64], code & 15, quarter / 2 * 4, 4);
  put(to.high[half_block * 32 + at % 32], code >> 4, quarter * 2, 2);
}
void code_iq4(size_t at, uint8_t code, std::byte* block) {
  put(as<BlockIq4Xs>(block).q[at / 32 * 16 + at % 16], code, at % 32 / 16 * 4, 4);
}

template <class Block>
constexpr Grid own(std::span<const float> levels, bool mins, bool even = true) {
  return {.group = 32,
          .levels = levels,
          .mins = mins,
          .set_line = set_own<Block>,
          .set_code = code_32<Block>,
          .even = even};
}

constexpr Grid kQ8{
    .group = 32, .levels = kSteps<-127, 255>, .set_line = set_own<BlockQ8_0>, .set_code = code_q8};
constexpr Grid kQ4_0 = own<BlockQ4_0>(kSteps<-8, 16>, false), kQ4_1 = own<BlockQ4_1>(kSteps<0, 16>, true),
               kQ5_0 = own<BlockQ5_0>(kSteps<-16, 32>, false), kQ5_1 = own<BlockQ5_1>(kSteps<0, 32>, true),
               kIq4Nl = own<BlockIq4Nl>(kUneven, false, false);
constexpr Grid kQ2K{.group = 16,
                    .levels = kSteps<0, 4>,
                    .mins = true,
                    .multiples = 15,
                    .negative = false,
                    .begin = begin<BlockQ2K, 15>,
                    .set_line = line_q2,
                    .set_code = code_2<BlockQ2K>};
constexpr Grid kQ3K{.group = 16,
                    .levels = kSteps<-4, 8>,
                    .multiples = 31,
                    .begin = begin<BlockQ3K, -32>,
                    .set_line = line_q3,
                    .set_code = code_q3};
constexpr Grid kQ4K{.group = 32,
                    .levels = kSteps<0, 16>,
                    .mins = true,
                    .multiples = 63,
                    .negative = false,
                    .begin = begin<BlockQ4K, 63>,
                    .set_line = line_q4<BlockQ4K>,
                    .set_code = code_4<BlockQ4K>};
constexpr Grid kQ5K{.group = 32,
                    .levels = kSteps<0, 32>,
                    .mins = true,
                    .multiples = 63,
                    .negative = false,
                    .begin = begin<BlockQ5K, 63>,
                    .set_line = line_q4<BlockQ5K>,
                    .set_code = code_4<BlockQ5K>};
constexpr Grid kQ6K{.group = 16,
                    .levels = kSteps<-32, 64>,
                    .multiples = 127,
                    .begin = begin<BlockQ6K, -128>,
                    .set_line = line_q6,
                    .set_code = code_q6};
constexpr Grid kIq4Xs{.group = 32,
                      .levels = kUneven,
                      .multiples = 31,
                      .begin = begin<BlockIq4Xs, -32>,
                      .set_line = line_iq4,
                      .set_code = code_iq4,
                      .even = false};
constexpr Grid kTq2{
    .group = 256, .levels = kSteps<-1, 3>, .set_line = set_own<BlockTq2>, .set_code = code_2<BlockTq2>};

const Grid* own_grid(const Codec& codec) {
  if (const size_t bits = planes_of(codec); bits > 0) return &codec::plane_grid(bits);
  if (const Codebook* book = Codebook::of(codec)) return &book->grid();
  if (codec.name() == "dgq4") return &codec::dual_grid();
  if (codec.name() == "bitmod3") return &codec::bitmod3_grid();
  if (codec.name() == "bitmod4") return &codec::bitmod4_grid();
  return codec.name() == "slim2" ? &slim2_grid() : nullptr;
}

}  // namespace

const Grid* grid_of(const Codec& codec) {
  if (!codec.format()) return own_grid(codec);
  switch (*codec.format()) {
    case Format::q8_0: return &kQ8;
    case Format::q4_0: return &kQ4_0;
    case Format::q4_1: return &kQ4_1;
    case Format::q5_0: return &kQ5_0;
    case Format::q5_1: return &kQ5_1;
    case Format::iq4_nl: return &kIq4Nl;
    case Format::q2_k: return &kQ2K;
    case Format::q3_k: return &kQ3K;
    case Format::q4_k: return &kQ4K;
    case Format::q5_k: return &kQ5K;
    case Format::q6_k: return &kQ6K;
    case Format::iq4_xs: return &kIq4Xs;
    case Format::tq2_0: return &kTq2;
    default: return nullptr;
  }
}

}  // namespace varve
