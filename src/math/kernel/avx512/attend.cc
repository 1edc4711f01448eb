// Attention over rows as they are cached. The 16 products of four queries and four rows stay in registers, so
// that a row is read and widened once for all queries that share it.
#include "math/kernel/avx512/lanes.h"

namespace varve {
namespace {

// A reader gives 16 values at `at` of a row, those of the mask; `at` is a multiple of 16.
struct ReadF32 {
  static constexpr size_t bytes(size_t width) { return 4 * width; }
  static __m512 load(const unsigned char* row, size_t at, __mmask16 mask) {
    return _mm512_maskz_loadu_ps(mask, row + 4 * at);
  }
};
struct ReadF16 {
  static constexpr size_t bytes(size_t width) { return 2 * width; }
  static __m512 load(const unsigned char* row, size_t at, __mmask16 mask) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row + 2 * at));
  }
};
struct ReadBf16 {
  static constexpr size_t bytes(size_t width) { return 2 * width; }
  static __m512 load(const unsigned char* row, size_t at, __mmask16 mask) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, row + 2 * at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
};
struct ReadQ8_0 {
  static constexpr size_t bytes(size_t width) { return width / 32 * sizeof(BlockQ8_0); }
  static __m512 load(const unsigned char* row, size_t at, __mmask16) {  // a width is whole blocks
    const unsigned char* block = row + at / 32 * sizeof(BlockQ8_0);
    unsigned short scale;
    __builtin_memcpy(&scale, block, 2);
    const __m512 by = _mm512_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(scale)));
    const __m128i q =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + offsetof(BlockQ8_0, q) + at % 32));
    return _mm512_mul_ps(by, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)));
  }
};

// The tree of finish(): lane i and i + 8, then i + 4, i + 2, i + 1.
inline __m512 totals(const __m512 (&sums)[16]) {
  __m512 eight[8], four[4], two[2];
  for (size_t i = 0; i < 8; ++i) {
    const __m512 a = sums[i / 2 + i % 2 * 8], b = sums[i / 2 + i % 2 * 8 + 4];
    eight[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
  for (size_t i = 0; i < 4; ++i) {
    const __m512 a = eight[2 * i], b = eight[2 * i + 1];
    four[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
  }
  for (size_t i = 0; i < 2; ++i) {
    const __m512d a = _mm512_castps_pd(four[2 * i]), b = _mm512_castps_pd(four[2 * i + 1]);
    two[i] =
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  return _mm512_add_ps(_mm512_shuffle_ps(two[0], two[1], 0x88), _mm512_shuffle_ps(two[0], two[1], 0xdd));
}

template <class Read, size_t Q, size_t T>
inline void score_block(const unsigned char* rows, const float* queries, size_t width, float factor,
                        float* out) {
  __m512 sums[16];
  for (size_t i = 0; i < 16; ++i) sums[i] = _mm512_setzero_ps();
  const size_t step = Read::bytes(width);
  for (size_t at = 0; at < width; at += 16) {
    const __mmask16 mask = up_to(width - at);
    __m512 row[T];
    for (size_t t = 0; t < T; ++t) row[t] = Read::load(rows + t * step, at, mask);
    for (size_t q = 0; q < Q; ++q) {
      const __m512 query = _mm512_maskz_loadu_ps(mask, queries + q * width + at);
      for (size_t t = 0; t < T; ++t) sums[4 * q + t] = _mm512_fmadd_ps(row[t], query, sums[4 * q + t]);
    }
  }
  const __m512 all = _mm512_mul_ps(totals(sums), _mm512_set1_ps(factor));
  alignas(64) float of[16];
  _mm512_store_ps(of, all);
  for (size_t q = 0; q < Q; ++q) {
    for (size_t t = 0; t < T; ++t) out[q * kAttendTile + t] = of[4 * q + t];
  }
}

template <class Read, size_t Q>
void score_queries(const unsigned char* rows, size_t n, const float* queries, size_t width, float factor,
                   float* out) {
  const size_t step = Read::bytes(width);
  size_t t = 0;
  for (; t + 4 <= n; t += 4) score_block<Read, Q, 4>(rows + t * step, queries, width, factor, out + t);
  for (; t < n; ++t) score_block<Read, Q, 1>(rows + t * step, queries, width, factor, out + t);
}

template <class Read>
void score(const void* bytes, size_t n, const float* queries, size_t count, size_t width, float factor,
           float* out) {
  const unsigned char* rows = static_cast<const unsigned char*>(bytes);
  for (; count >= 4; count -= 4, queries += 4 * width, out += 4 * kAttendTile)
    score_queries<Read, 4>(rows, n, queries, width, factor, out);
  switch (count) {
    case 1: return score_queries<Read, 1>(rows, n, queries, width, factor, out);
    case 2: return score_queries<Read, 2>(rows, n, queries, width, factor, out);
    case 3: return score_queries<Read, 3>(rows, n, queries, width, factor, out);
    default: return;
  }
}

template <class Read, size_t Q, size_t V>  // V registers of columns, the last of them masked
void mix_block(const unsigned char* rows, size_t n, const float* shares, size_t width, size_t at, float* out,
               size_t stride) {
  const __mmask16 last = up_to(width - at - 16 * (V - 1));
  const size_t step = Read::bytes(width);
  __m512 sum[Q][V];
  for (size_t q = 0; q < Q; ++q) {
    for (size_t v = 0; v < V; ++v)
      sum[q][v] = _mm512_maskz_loadu_ps(v + 1 < V ? 0xffff : last, out + q * stride + at + 16 * v);
  }
  for (size_t t = 0; t < n; ++t) {
    __m512 row[V];
    for (size_t v = 0; v < V; ++v)
      row[v] = Read::load(rows + t * step, at + 16 * v, v + 1 < V ? 0xffff : last);
    for (size_t q = 0; q < Q; ++q) {
      const __m512 share = _mm512_set1_ps(shares[q * kAttendTile + t]);
      for (size_t v = 0; v < V; ++v) sum[q][v] = _mm512_fmadd_ps(share, row[v], sum[q][v]);
    }
  }
  for (size_t q = 0; q < Q; ++q) {
    for (size_t v = 0; v < V; ++v)
      _mm512_mask_storeu_ps(out + q * stride + at + 16 * v, v + 1 < V ? 0xffff : last, sum[q][v]);
  }
}

template <class Read, size_t Q>
void mix_queries(const unsigned char* rows, size_t n, const float* shares, size_t width, float* out,
                 size_t stride) {
  size_t at = 0;
  for (; at + 64 <= width; at += 64) mix_block<Read, Q, 4>(rows, n, shares, width, at, out, stride);
  for (; at < width; at += 16) mix_block<Read, Q, 1>(rows, n, shares, width, at, out, stride);
}

template <class Read>
void mix(const void* bytes, size_t n, const float* shares, size_t count, size_t width, float* out,
         size_t stride) {
  const unsigned char* rows = static_cast<const unsigned char*>(bytes);
  for (; count >= 4; count -= 4, shares += 4 * kAttendTile, out += 4 * stride)
    mix_queries<Read, 4>(rows, n, shares, width, out, stride);
  switch (count) {
    case 1: return mix_queries<Read, 1>(rows, n, shares, width, out, stride);
    case 2: return mix_queries<Read, 2>(rows, n, shares, width, out, stride);
    case 3: return mix_queries<Read, 3>(rows, n, shares, width, out, stride);
    default: return;
  }
}

template <class Read>
void set(Kernels& table, Format format) {
  table.score_rows[size_t(format)] = score<Read>;
  table.mix_rows[size_t(format)] = mix<Read>;
}

}  // namespace

void override_avx512_attend(Kernels& table) {
  set<ReadF32>(table, Format::f32);
  set<ReadF16>(table, Format::f16);
  set<ReadBf16>(table, Format::bf16);
  set<ReadQ8_0>(table, Format::q8_0);
}

}  // namespace varve
