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

}  // namespace
}  // namespace varve
