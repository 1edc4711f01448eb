// Attention over rows as they are cached. The 16 products of four queries and four rows stay in registers, so
// that a row is read and widened once for all queries that share it.
#include "math/kernel/avx512/lanes.h"

namespace varve {
namespace {

// Loops over registers: an array that is not wholly unrolled lives on the stack.
#ifdef __clang__
#define VARVE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VARVE_UNROLL _Pragma("GCC unroll 16")
#endif

// A reader gives 16 values at `at` of a row, those of the mask; `at` is a multiple of 16.
struct ReadF32 {
  static constexpr size_t bytes(size_t width) { return 4 * width; }
  static __m512 load(const unsigned char* row, size_t at, __mmask16 mask) {
    return _mm512_maskz_loadu_ps(mask, row + 4 * at);
  }
  static __m512 load(const unsigned char* row, size_t at) { return _mm512_loadu_ps(row + 4 * at); }
};
struct ReadF16 {
  static constexpr size_t bytes(size_t width) { return 2 * width; }
  static __m512 load(const unsigned char* row, size_t at, __mmask16 mask) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row + 2 * at));
  }
  static __m512 load(const unsigned char* row, size_t at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + 2 * at)));
  }
};
struct ReadBf16 {
  static constexpr size_t bytes(size_t width) { return 2 * width; }
  static __m512 load(const unsigned char* row, size_t at, __mmask16 mask) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, row + 2 * at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
  static __m512 load(const unsigned char* row, size_t at) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + 2 * at))), 16));
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
  static __m512 load(const unsigned char* row, size_t at) { return load(row, at, 0xffff); }
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

// The products of Q queries and T rows, 16 values wide.
template <class Read, size_t Q, size_t T>
inline void score_block(const unsigned char* rows, const float* queries, size_t width, float factor,
                        float* out) {
  __m512 sums[16];
  VARVE_UNROLL for (size_t i = 0; i < 16; ++i) sums[i] = _mm512_setzero_ps();
  const size_t step = Read::bytes(width);
  const auto add = [&](size_t from, size_t at) __attribute__((always_inline)) {
    __m512 row[T];
    VARVE_UNROLL for (size_t t = 0; t < T; ++t) {
      row[t] = Read::load(rows + t * step + Read::bytes(from), at);
    }
    VARVE_UNROLL for (size_t q = 0; q < Q; ++q) {
      const __m512 query = _mm512_loadu_ps(queries + q * width + from + at);
      VARVE_UNROLL for (size_t t = 0; t < T; ++t) {
        sums[4 * q + t] = _mm512_fmadd_ps(row[t], query, sums[4 * q + t]);
      }
    }
  };
  size_t at = 0;
  for (; at + 32 <= width; at += 32) add(at, 0), add(at, 16);  // a block: its scale is read once
  for (; at + 16 <= width; at += 16) add(at, 0);
  if (at < width) {
    const __mmask16 mask = up_to(width - at);
    VARVE_UNROLL for (size_t q = 0; q < Q; ++q) {
      const __m512 query = _mm512_maskz_loadu_ps(mask, queries + q * width + at);
      VARVE_UNROLL for (size_t t = 0; t < T; ++t) {
        sums[4 * q + t] = _mm512_fmadd_ps(Read::load(rows + t * step, at, mask), query, sums[4 * q + t]);
      }
    }
  }
  alignas(64) float of[16];
  _mm512_store_ps(of, _mm512_mul_ps(totals(sums), _mm512_set1_ps(factor)));
  VARVE_UNROLL for (size_t q = 0; q < Q; ++q) {
    VARVE_UNROLL for (size_t t = 0; t < T; ++t) out[q * kAttendTile + t] = of[4 * q + t];
  }
}

// What is read next, while this is worked on: memory is some hundred steps away.
inline void fetch(const unsigned char* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64)
    _mm_prefetch(reinterpret_cast<const char*>(from + at), _MM_HINT_T0);
}

template <class Read, size_t Q>
void score_queries(const unsigned char* rows, size_t n, const float* queries, size_t width, float factor,
                   float* out, const unsigned char* next) {
  const size_t step = Read::bytes(width);
  size_t t = 0;
  for (; t + 4 <= n; t += 4) {
    if (next != nullptr) fetch(next + t * step, 4 * step);
    score_block<Read, Q, 4>(rows + t * step, queries, width, factor, out + t);
  }
  for (; t < n; ++t) score_block<Read, Q, 1>(rows + t * step, queries, width, factor, out + t);
}

template <class Read>
void score(const void* bytes, size_t n, const float* queries, size_t count, size_t width, float factor,
           float* out, const void* then) {
  const unsigned char* rows = static_cast<const unsigned char*>(bytes);
  const unsigned char* next = static_cast<const unsigned char*>(then);
  for (; count >= 4; count -= 4, queries += 4 * width, out += 4 * kAttendTile, next = nullptr)
    score_queries<Read, 4>(rows, n, queries, width, factor, out, next);
  switch (count) {
    case 1: return score_queries<Read, 1>(rows, n, queries, width, factor, out, next);
    case 2: return score_queries<Read, 2>(rows, n, queries, width, factor, out, next);
    case 3: return score_queries<Read, 3>(rows, n, queries, width, factor, out, next);
    default: return;
  }
}

template <class Read, size_t Q, size_t V>  // V registers of columns
void mix_block(const unsigned char* rows, size_t n, const float* shares, size_t width, float* out,
               size_t stride, size_t at, const unsigned char* next) {
  const size_t step = Read::bytes(width);
  __m512 sum[Q * V];
  VARVE_UNROLL for (size_t i = 0; i < Q * V; ++i) sum[i] =
      _mm512_loadu_ps(out + i / V * stride + at + i % V * 16);
  for (size_t t = 0; t < n; ++t) {
    if (next != nullptr) fetch(next + t * step, step);
    __m512 row[V];
    // Whole blocks begin where four registers do: then a block's scale is read once.
    const unsigned char* from = rows + t * step + (V == 4 ? Read::bytes(at) : 0);
    VARVE_UNROLL for (size_t v = 0; v < V; ++v) row[v] = Read::load(from, (V == 4 ? 0 : at) + 16 * v);
    VARVE_UNROLL for (size_t i = 0; i < Q * V; ++i) {
      sum[i] = _mm512_fmadd_ps(_mm512_set1_ps(shares[i / V * kAttendTile + t]), row[i % V], sum[i]);
    }
  }
  VARVE_UNROLL for (size_t i = 0; i < Q * V; ++i)
      _mm512_storeu_ps(out + i / V * stride + at + i % V * 16, sum[i]);
}

template <class Read, size_t Q>
void mix_last(const unsigned char* rows, size_t n, const float* shares, size_t width, float* out,
              size_t stride, size_t at) {
  const __mmask16 mask = up_to(width - at);
  for (size_t q = 0; q < Q; ++q) {
    __m512 sum = _mm512_maskz_loadu_ps(mask, out + q * stride + at);
    for (size_t t = 0; t < n; ++t) {
      sum = _mm512_fmadd_ps(_mm512_set1_ps(shares[q * kAttendTile + t]),
                            Read::load(rows + t * Read::bytes(width), at, mask), sum);
    }
    _mm512_mask_storeu_ps(out + q * stride + at, mask, sum);
  }
}

template <class Read, size_t Q>
void mix_queries(const unsigned char* rows, size_t n, const float* shares, size_t width, float* out,
                 size_t stride, const unsigned char* next) {
  size_t at = 0;
  for (; at + 64 <= width; at += 64, next = nullptr)
    mix_block<Read, Q, 4>(rows, n, shares, width, out, stride, at, next);
  for (; at + 16 <= width; at += 16) mix_block<Read, Q, 1>(rows, n, shares, width, out, stride, at, nullptr);
  if (at < width) mix_last<Read, Q>(rows, n, shares, width, out, stride, at);
}

template <class Read>
void mix(const void* bytes, size_t n, const float* shares, size_t count, size_t width, float* out,
         size_t stride, const void* then) {
  const unsigned char* rows = static_cast<const unsigned char*>(bytes);
  const unsigned char* next = static_cast<const unsigned char*>(then);
  for (; count >= 4; count -= 4, shares += 4 * kAttendTile, out += 4 * stride, next = nullptr)
    mix_queries<Read, 4>(rows, n, shares, width, out, stride, next);
  switch (count) {
    case 1: return mix_queries<Read, 1>(rows, n, shares, width, out, stride, next);
    case 2: return mix_queries<Read, 2>(rows, n, shares, width, out, stride, next);
    case 3: return mix_queries<Read, 3>(rows, n, shares, width, out, stride, next);
    default: return;
  }
}

// 32 values: a code picks among the 4 or 16 that the block can mean.
struct Codes2 {
  static constexpr size_t bytes = sizeof(BlockCode2);
  static __m512i load(const unsigned char* q) {
    long long eight;
    __builtin_memcpy(&eight, q, 8);
    return _mm512_srlv_epi32(_mm512_cvtepu8_epi32(_mm_set1_epi64x(eight)),
                             _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2));
  }
  static __m512 codes() { return _mm512_setr_ps(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3); }
};
struct Codes4 {
  static constexpr size_t bytes = sizeof(BlockCode4);
  static __m512i load(const unsigned char* q) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q)));
  }
  static __m512 codes() { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
};

template <class Codes, size_t Q, size_t B>  // B blocks of 32 columns
void mix_code_block(const unsigned char* blocks, size_t row_bytes, size_t rows, const RowFactors& factors,
                    float* out, size_t stride) {
  constexpr size_t V = 2 * B;
  __m512 sum[Q * V];
  VARVE_UNROLL for (size_t i = 0; i < Q * V; ++i) sum[i] = _mm512_loadu_ps(out + i / V * stride + i % V * 16);
  for (size_t r = 0; r < rows; ++r, blocks += row_bytes) {
    __m512 value[V];
    VARVE_UNROLL for (size_t b = 0; b < B; ++b) {
      const unsigned char* block = blocks + b * Codes::bytes;
      _mm_prefetch(reinterpret_cast<const char*>(block + 1024), _MM_HINT_T0);
      int scale_and_least;
      __builtin_memcpy(&scale_and_least, block, 4);
      const __m128 both = _mm_cvtph_ps(_mm_cvtsi32_si128(scale_and_least));
      const __m512 least = _mm512_broadcastss_ps(_mm_movehdup_ps(both));
      const __m512 levels = _mm512_fmadd_ps(Codes::codes(), _mm512_broadcastss_ps(both), least);
      const __m512i codes = Codes::load(block + 4);
      value[2 * b] = _mm512_permutexvar_ps(codes, levels);
      value[2 * b + 1] = _mm512_permutexvar_ps(_mm512_srli_epi32(codes, 4), levels);
    }
    VARVE_UNROLL for (size_t i = 0; i < Q * V; ++i) {
      sum[i] = _mm512_fmadd_ps(_mm512_set1_ps(factors.at[i / V * factors.stride + r]), value[i % V], sum[i]);
    }
  }
  VARVE_UNROLL for (size_t i = 0; i < Q * V; ++i) _mm512_storeu_ps(out + i / V * stride + i % V * 16, sum[i]);
}

template <class Codes, size_t Q>
void mix_code_queries(const CodeRows& rows, const RowFactors& factors, float* out, size_t stride) {
  const unsigned char* blocks = static_cast<const unsigned char*>(rows.bytes);
  const size_t row_bytes = rows.columns / kCodeColumns * Codes::bytes;
  size_t at = 0;
  for (; at + 64 <= rows.columns; at += 64, blocks += 2 * Codes::bytes)
    mix_code_block<Codes, Q, 2>(blocks, row_bytes, rows.rows, factors, out + at, stride);
  if (at < rows.columns) mix_code_block<Codes, Q, 1>(blocks, row_bytes, rows.rows, factors, out + at, stride);
}

template <class Codes>
void mix_codes(const CodeRows& rows, const RowFactors& of, size_t count, float* out, size_t stride) {
  RowFactors factors = of;
  for (; count >= 4; count -= 4, factors.at += 4 * factors.stride, out += 4 * stride)
    mix_code_queries<Codes, 4>(rows, factors, out, stride);
  switch (count) {
    case 1: return mix_code_queries<Codes, 1>(rows, factors, out, stride);
    case 2: return mix_code_queries<Codes, 2>(rows, factors, out, stride);
    case 3: return mix_code_queries<Codes, 3>(rows, factors, out, stride);
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
  table.mix_codes2 = mix_codes<Codes2>;
  table.mix_codes4 = mix_codes<Codes4>;
}

}  // namespace varve
