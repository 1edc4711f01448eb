// Numbers that are no whole ones, 8 at a time. Internal linkage, as in lanes.h.
#pragma once

#include "math/kernel/avx2/readers.h"

namespace varve {
namespace {

struct PlainF32 {
  static constexpr size_t bytes = 4;
  static __m256 load(const uint8_t* from) { return _mm256_loadu_ps(reinterpret_cast<const float*>(from)); }
};
struct PlainF16 {
  static constexpr size_t bytes = 2;
  static __m256 load(const uint8_t* from) { return _mm256_cvtph_ps(load128(from)); }
};
struct PlainBf16 {
  static constexpr size_t bytes = 2;
  static __m256 load(const uint8_t* from) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(from)), 16));
  }
};
template <class Plain>
__m256 load_part(const uint8_t* from, size_t n) {  // fewer than 8, the rest 0
  uint8_t part[32] = {};
  __builtin_memcpy(part, from, Plain::bytes * n);
  return Plain::load(part);
}

// rf8: f16 numbers times a power of 2, which is a subnormal at the least.
[[maybe_unused]] __m256 unit_of(const uint8_t* block) {
  const int exponent = int8_t(*block);
  const __m128 unit = _mm_castsi128_ps(
      _mm_cvtsi32_si128(exponent > -126 ? (exponent + 126) << 23 : 1 << (exponent + 149 - 1)));
  return _mm256_broadcastss_ps(unit);
}
[[maybe_unused]] __m256 sized(const uint8_t* eight) {
  const __m128i codes = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(eight)));
  const __m128i size = _mm_slli_epi16(_mm_and_si128(codes, _mm_set1_epi16(0x7f)), 7);
  const __m128i sign = _mm_slli_epi16(_mm_and_si128(codes, _mm_set1_epi16(0x80)), 8);
  return _mm256_cvtph_ps(_mm_or_si128(size, sign));
}

}  // namespace
}  // namespace varve
