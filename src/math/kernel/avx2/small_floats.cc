// rf8: small floats (math/codec/rf8.cc), straight from their bytes.
#include "math/kernel/avx2/plain.h"

namespace varve {
namespace {

void decode_rf8(const void* bytes, size_t values, float* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (size_t at = 0; at < values; at += 128, from += sizeof(BlockRf8)) {
    fetch_ahead(from, sizeof(BlockRf8));
    const __m256 unit = unit_of(from);
    for (size_t i = 0; i < 128; i += 8)
      _mm256_storeu_ps(out + at + i, _mm256_mul_ps(unit, sized(from + 1 + i)));
  }
}

template <size_t W>
void stream_rf8_rows(const uint8_t* w, size_t w_bytes, const float* x, size_t n, Lanes* sums) {
  __m256 sum[W];
  for (size_t i = 0; i < W; ++i) sum[i] = get(sums[i]);
  for (size_t at = 0; at < n; at += 128, w += sizeof(BlockRf8)) {
    __m256 unit[W];
    for (size_t i = 0; i < W; ++i) {
      unit[i] = unit_of(w + i * w_bytes);
      fetch<2>(w + (i + W) * w_bytes, sizeof(BlockRf8));
    }
    for (size_t k = 0; k < 128; k += 8) {
      const __m256 from_x = _mm256_loadu_ps(x + at + k);
      for (size_t i = 0; i < W; ++i)
        sum[i] = _mm256_fmadd_ps(_mm256_mul_ps(unit[i], sized(w + i * w_bytes + 1 + k)), from_x, sum[i]);
    }
  }
  for (size_t i = 0; i < W; ++i) set(sums[i], sum[i]);
}
void stream_rf8(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums) {
  const auto* from = static_cast<const uint8_t*>(w);
  size_t i = 0;
  for (; i + 4 <= w_rows; i += 4) stream_rf8_rows<4>(from + i * w_bytes, w_bytes, x, n, sums + i);
  for (; i < w_rows; ++i) stream_rf8_rows<1>(from + i * w_bytes, w_bytes, x, n, sums + i);
}

}  // namespace

void small_floats_avx2(SideKernels& table) {
  table.decode_rf8 = decode_rf8;
  table.stream_rf8 = stream_rf8;
}

}  // namespace varve
