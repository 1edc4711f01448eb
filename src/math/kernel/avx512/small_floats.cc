// rf8: small floats (math/codec/rf8.cc), straight from their bytes.
#include "math/kernel/avx512/plain.h"

namespace varve {
namespace {

void decode_rf8(const void* bytes, size_t values, float* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (size_t at = 0; at < values; at += 128, from += sizeof(BlockRf8)) {
    fetch_ahead(from, sizeof(BlockRf8));
    const __m512 unit = unit_of(from);
    for (size_t i = 0; i < 128; i += 16)
      _mm512_storeu_ps(out + at + i, _mm512_mul_ps(unit, sized(from + 1 + i)));
  }
}

template <size_t W>
void stream_rf8_rows(const uint8_t* w, size_t apart, const float* x, size_t n, Lanes* sums, size_t sums_apart,
                     Ahead& ahead) {
  __m512 sum[W];
  for (size_t i = 0; i < W; ++i) sum[i] = get(sums[i * sums_apart]);
  for (size_t at = 0; at < n; at += 128, w += sizeof(BlockRf8)) {
    const size_t far = ahead(sizeof(BlockRf8));
    __m512 unit[W];
    for (size_t i = 0; i < W; ++i) {
      unit[i] = unit_of(w + i * apart);
      fetch<3>(w + i * apart + far, sizeof(BlockRf8));
    }
    for (size_t k = 0; k < 128; k += 16) {
      const __m512 from_x = _mm512_loadu_ps(x + at + k);
      for (size_t i = 0; i < W; ++i)
        sum[i] = _mm512_fmadd_ps(_mm512_mul_ps(unit[i], sized(w + i * apart + 1 + k)), from_x, sum[i]);
    }
  }
  for (size_t i = 0; i < W; ++i) set(sums[i * sums_apart], sum[i]);
}
void stream_rf8(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums) {
  constexpr size_t kStreams = 4;
  const auto* from = static_cast<const uint8_t*>(w);
  const size_t each = w_rows / kStreams, apart = each * w_bytes;
  Ahead ahead{apart, (kStreams - 1) * apart};
  for (size_t i = 0; i < each; ++i)
    stream_rf8_rows<kStreams>(from + i * w_bytes, apart, x, n, sums + i, each, ahead);
  for (size_t i = each * kStreams; i < w_rows; ++i)
    stream_rf8_rows<1>(from + i * w_bytes, 0, x, n, sums + i, 1, ahead);
}

}  // namespace

void small_floats_avx512(SideKernels& table) {
  table.decode_rf8 = decode_rf8;
  table.stream_rf8 = stream_rf8;
}

}  // namespace varve
