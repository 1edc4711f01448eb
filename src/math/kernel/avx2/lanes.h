// What the AVX2 files share. Everything has internal linkage: no copy of it may reach other callers.
#pragma once

#include <immintrin.h>

#include "math/kernel/kernel.h"

namespace varve {

void quantize_avx2(const float* x, size_t n, InputPanel* out);

namespace {

alignas(64) [[maybe_unused]] const int kOnes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
[[maybe_unused]] __m256i up_to(size_t n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kOnes + 8 - (n < 8 ? n : 8)));
}
[[maybe_unused]] __m256 get(const Lanes& lanes) {
  return _mm256_load_ps(reinterpret_cast<const float*>(lanes.bytes));
}
[[maybe_unused]] void set(Lanes& lanes, __m256 sum) {
  _mm256_store_ps(reinterpret_cast<float*>(lanes.bytes), sum);
}

// The product of two panels, 8 partial sums, made apart from the sum of the row, so that a
// long row is not one chain of dependent additions. Products
// of 8 bits in twos would overflow 16 bits, so both sides are widened first.
[[maybe_unused]] inline __m256 panel_product(const WeightPanel& w, const InputPanel& x) {
  alignas(32) float scale[16];
  __m256 sum[2];
  for (size_t i = 0; i < 2; ++i) {
    _mm256_store_ps(scale + 8 * i,
                    _mm256_mul_ps(_mm256_load_ps(w.scale + 8 * i), _mm256_load_ps(x.scale + 8 * i)));
    sum[i] =
        _mm256_fnmadd_ps(_mm256_load_ps(w.min + 8 * i), _mm256_load_ps(x.sum + 8 * i), _mm256_setzero_ps());
  }
  for (size_t i = 0; i < 16; ++i) {
    const __m256i a = _mm256_cvtepu8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(w.q + 16 * i)));
    const __m256i b = _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(x.q + 16 * i)));
    const __m256 dots = _mm256_cvtepi32_ps(_mm256_madd_epi16(a, b));
    sum[i % 2] = _mm256_fmadd_ps(dots, _mm256_set1_ps(scale[i]), sum[i % 2]);
  }
  return _mm256_add_ps(sum[0], sum[1]);
}

}  // namespace
}  // namespace varve
