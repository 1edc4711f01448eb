// Numbers that are no whole ones, 16 at a time. Internal linkage, as in lanes.h.
#pragma once

#include "math/kernel/avx512/readers.h"

namespace varve {
namespace {

struct PlainF32 {
  static constexpr size_t bytes = 4;
  static __m512 load(const uint8_t* from, __mmask16 mask) { return _mm512_maskz_loadu_ps(mask, from); }
  static __m512 load(const uint8_t* from) { return _mm512_loadu_ps(from); }
};
struct PlainF16 {
  static constexpr size_t bytes = 2;
  static __m512 load(const uint8_t* from, __mmask16 mask) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from));
  }
  static __m512 load(const uint8_t* from) { return _mm512_cvtph_ps(load256(from)); }
};
struct PlainBf16 {
  static constexpr size_t bytes = 2;
  static __m512 load(const uint8_t* from, __mmask16 mask) {
    return widened(_mm256_maskz_loadu_epi16(mask, from));
  }
  static __m512 load(const uint8_t* from) { return widened(load256(from)); }
  static __m512 widened(__m256i halves) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
};

// rf8: f16 numbers times a power of 2, which is a subnormal at the least.
[[maybe_unused]] __m512 unit_of(const uint8_t* block) {
  const int exponent = int8_t(*block);
  const int bits = exponent > -126 ? (exponent + 126) << 23 : 1 << (exponent + 149 - 1);
  return _mm512_castsi512_ps(_mm512_set1_epi32(bits));
}
[[maybe_unused]] __m512 sized(const uint8_t* sixteen) {
  const __m256i codes = _mm256_cvtepu8_epi16(load128(sixteen));
  constexpr int kOrAnd = 0xf8;  // a | (b & c)
  const __m256i size = _mm256_slli_epi16(_mm256_and_si256(codes, _mm256_set1_epi16(0x7f)), 7);
  return _mm512_cvtph_ps(_mm256_ternarylogic_epi64(size, _mm256_slli_epi16(codes, 8),
                                                   _mm256_set1_epi16(int16_t(0x8000)), kOrAnd));
}

}  // namespace
}  // namespace varve
