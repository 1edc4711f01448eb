// What the AVX-512 files share. Everything has internal linkage: no copy of it may reach other callers.
#pragma once

#include <immintrin.h>

#include "math/kernel/kernel.h"

namespace varve {

void quantize_avx512(const float* x, size_t n, InputPanel* out);

namespace {

[[maybe_unused]] __mmask16 up_to(size_t n) {
  return _cvtu32_mask16(n >= 16 ? 0xffff : (1u << n) - 1);
}
[[maybe_unused]] __m512 get(const Lanes& lanes) {
  return _mm512_load_ps(lanes.bytes);
}
[[maybe_unused]] void set(Lanes& lanes, __m512 sum) {
  _mm512_store_ps(lanes.bytes, sum);
}

// The product of two panels, 16 partial sums. It is made apart and then added to the sum of the row, so that
// a long row is not one chain of dependent additions.
[[maybe_unused]] inline __m512 panel_product(const WeightPanel& w, const InputPanel& x) {
  const __m512 scale = _mm512_mul_ps(_mm512_load_ps(w.scale), _mm512_load_ps(x.scale));
  __m512 sum = _mm512_fnmadd_ps(_mm512_load_ps(w.min), _mm512_load_ps(x.sum), _mm512_setzero_ps());
  for (size_t quarter = 0; quarter < 4; ++quarter) {
    const __m512i index = _mm512_add_epi32(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
                                           _mm512_set1_epi32(int(4 * quarter)));
    const __m512i dots = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_load_si512(w.q + 64 * quarter),
                                             _mm512_load_si512(x.q + 64 * quarter));
    sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_permutexvar_ps(index, scale), sum);
  }
  return sum;
}

}  // namespace
}  // namespace varve
