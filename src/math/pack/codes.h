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

// 32 values, `stride` apart, from the least to the largest in even steps (Liu et al. 2024).
template <class Block>
void encode_codes(const float* x, size_t stride, std::byte* to) {
  constexpr int bits = sizeof(Block::q) == 8 ? 2 : 4, most = (1 << bits) - 1;
  constexpr size_t bytes = sizeof(Block::q);
  float least = x[0], largest = x[0];
  for (size_t i = 1; i < kCodeColumns; ++i) {
    least = std::min(least, x[i * stride]);
    largest = std::max(largest, x[i * stride]);
  }
  Block block{};
  block.least = f32_to_f16(least);
  least = f16_to_f32(block.least);
  block.scale = f32_to_f16((largest - least) / float(most));
  const float scale = f16_to_f32(block.scale), inverse = scale > 0 ? 1 / scale : 0;
  for (size_t i = 0; i < kCodeColumns; ++i) {
    const float code = (x[i * stride] - least) * inverse + 0.5f;
    const int q = code > 0 ? (code < float(most) ? int(code) : most) : 0;  // NaN is 0
    block.q[i % bytes] = uint8_t(block.q[i % bytes] | q << bits * int(i / bytes));
  }
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
