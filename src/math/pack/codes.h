// Rows of 2- or 4-bit codes: what packs write for Kernels::mix_codes and read back.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "math/kernel/half.h"
#include "math/kernel/kernel.h"

namespace varve::page_pack {

inline int64_t code_bytes(int32_t bits, int64_t columns) {
  return columns / int64_t(kCodeColumns) * int64_t(bits == 2 ? sizeof(BlockCode2) : sizeof(BlockCode4));
}

struct CodeRange {  // value i is about least + scale * code i
  float least = 0, scale = 0;
};

// The codes of 32 values, as floats; what is no number is 0.
inline void codes_of(const float* x, CodeRange range, float most, float* codes) {
  const float inverse = range.scale > 0 ? 1 / range.scale : 0;
  for (size_t i = 0; i < kCodeColumns; ++i) {
    const float code = (x[i] - range.least) * inverse + 0.5f;
    const float low = code > 0 ? code : 0, high = low < most ? low : most;  // no two ways: eight at a time
    codes[i] = float(int(high));
  }
}

inline float squared_error(const float* x, CodeRange range, const float* codes) {
  constexpr size_t kAtOnce = 8;
  float sums[kAtOnce] = {}, sum = 0;
  for (size_t i = 0; i < kCodeColumns; ++i) {
    const float off = x[i] - (range.least + range.scale * codes[i]);
    sums[i % kAtOnce] += off * off;
  }
  for (const float one : sums) sum += one;
  return sum;
}

// The range in which these codes err least, in the square.
inline CodeRange fitted(const float* x, const float* codes) {
  constexpr size_t kAtOnce = 8;
  float of_codes[kAtOnce] = {}, of_squares[kAtOnce] = {}, of_values[kAtOnce] = {}, of_both[kAtOnce] = {};
  for (size_t i = 0; i < kCodeColumns; ++i) {
    of_codes[i % kAtOnce] += codes[i];
    of_squares[i % kAtOnce] += codes[i] * codes[i];
    of_values[i % kAtOnce] += x[i];
    of_both[i % kAtOnce] += codes[i] * x[i];
  }
  const auto sum = [](const float* parts) {
    float all = 0;
    for (size_t i = 0; i < kAtOnce; ++i) all += parts[i];
    return all;
  };
  constexpr auto n = float(kCodeColumns);
  const float q = sum(of_codes), v = sum(of_values);
  const float spread = n * sum(of_squares) - q * q;
  const float scale = spread > 0 ? (n * sum(of_both) - q * v) / spread : 0;
  return {(v - scale * q) / n, scale};
}

// From the least to the largest (Liu et al. 2024), or closer together where that errs less: a value at the
// rim may be off if the others gain by it. Rounds of codes for a range and the range for these codes.
template <class Block>
CodeRange code_range(const float* x) {
  constexpr int most = sizeof(Block::q) == 8 ? 3 : 15, kRounds = 2;
  constexpr float kInside = most == 3 ? 0.1f : 0.f;  // of the range, on either side, to begin with
  const auto [least, largest] = std::minmax_element(x, x + kCodeColumns);
  const float extent = *largest - *least;
  float codes[kCodeColumns];
  const CodeRange whole{*least, extent / float(most)};
  CodeRange range{*least + kInside * extent, (1 - 2 * kInside) * extent / float(most)};
  for (int i = 0; i < kRounds; ++i) {
    codes_of(x, range, most, codes);
    range = fitted(x, codes);
  }
  codes_of(x, range, most, codes);
  const float error = squared_error(x, range, codes);
  codes_of(x, whole, most, codes);
  return error < squared_error(x, whole, codes) ? range : whole;  // the whole, where either is no number
}

// 32 values, `stride` apart.
template <class Block>
void encode_codes(const float* from, size_t stride, std::byte* to) {
  constexpr int bits = sizeof(Block::q) == 8 ? 2 : 4, most = (1 << bits) - 1;
  constexpr size_t bytes = sizeof(Block::q);
  float x[kCodeColumns], codes[kCodeColumns];
  for (size_t i = 0; i < kCodeColumns; ++i) x[i] = from[i * stride];
  const CodeRange range = code_range<Block>(x);
  Block block{};
  block.least = f32_to_f16(range.least);
  block.scale = f32_to_f16(range.scale);
  codes_of(x, {f16_to_f32(block.least), f16_to_f32(block.scale)}, most, codes);
  for (size_t i = 0; i < kCodeColumns; ++i)
    block.q[i % bytes] = uint8_t(block.q[i % bytes] | int(codes[i]) << bits * int(i / bytes));
  std::memcpy(to, &block, sizeof(block));
}

template <class Block>
void decode_codes(const std::byte* from, size_t stride, float* x) {
  constexpr int bits = sizeof(Block::q) == 8 ? 2 : 4, most = (1 << bits) - 1;
  constexpr size_t bytes = sizeof(Block::q);
  Block block;
  std::memcpy(&block, from, sizeof(block));
  const float scale = f16_to_f32(block.scale), least = f16_to_f32(block.least);
  for (size_t i = 0; i < kCodeColumns; ++i)
    x[i * stride] = least + scale * float(block.q[i % bytes] >> bits * int(i / bytes) & most);
}

inline void encode_codes(int32_t bits, const float* x, size_t stride, std::byte* to) {
  bits == 2 ? encode_codes<BlockCode2>(x, stride, to) : encode_codes<BlockCode4>(x, stride, to);
}
inline void decode_codes(int32_t bits, const std::byte* from, size_t stride, float* x) {
  bits == 2 ? decode_codes<BlockCode2>(from, stride, x) : decode_codes<BlockCode4>(from, stride, x);
}

}  // namespace varve::page_pack
