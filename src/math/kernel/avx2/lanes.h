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

}  // namespace
}  // namespace varve
