// Attention over rows as they are cached: a row is read and widened once for up to four queries.
#include "math/kernel/avx2/lanes.h"

namespace varve {
namespace {

// A reader widens eight values at `at` of a row; `left` of them are inside of it.
struct ReadF32 {
  static constexpr size_t bytes(size_t width) { return 4 * width; }
  static __m256 load(const unsigned char* row, size_t at, size_t left) {
    return _mm256_maskload_ps(reinterpret_cast<const float*>(row + 4 * at), up_to(left));
  }
};
inline __m128i eight_halves(const unsigned char* from, size_t left) {
  if (left >= 8) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  unsigned short part[8] = {};
  __builtin_memcpy(part, from, 2 * left);
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(part));
}
struct ReadF16 {
  static constexpr size_t bytes(size_t width) { return 2 * width; }
  static __m256 load(const unsigned char* row, size_t at, size_t left) {
    return _mm256_cvtph_ps(eight_halves(row + 2 * at, left));
  }
};
struct ReadBf16 {
  static constexpr size_t bytes(size_t width) { return 2 * width; }
  static __m256 load(const unsigned char* row, size_t at, size_t left) {
    const __m256i wide = _mm256_cvtepu16_epi32(eight_halves(row + 2 * at, left));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
};
struct ReadQ8_0 {
  static constexpr size_t bytes(size_t width) { return width / 32 * sizeof(BlockQ8_0); }
  static __m256 load(const unsigned char* row, size_t at, size_t) {  // a width is whole blocks
    const unsigned char* block = row + at / 32 * sizeof(BlockQ8_0);
    unsigned short scale;
    __builtin_memcpy(&scale, block, 2);
    const __m256 by = _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(scale)));
    const __m128i q =
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(block + offsetof(BlockQ8_0, q) + at % 32));
    return _mm256_mul_ps(by, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)));
  }
};

float total(__m256 v) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
}

template <class Read, size_t Q>
void score_queries(const unsigned char* rows, size_t n, const float* queries, size_t width, float factor,
                   float* out) {
  const size_t step = Read::bytes(width);
  for (size_t t = 0; t < n; ++t) {
    __m256 sum[Q];
    for (size_t q = 0; q < Q; ++q) sum[q] = _mm256_setzero_ps();
    for (size_t at = 0; at < width; at += 8) {
      const __m256 row = Read::load(rows + t * step, at, width - at);
      for (size_t q = 0; q < Q; ++q) {
        const __m256 query = _mm256_maskload_ps(queries + q * width + at, up_to(width - at));
        sum[q] = _mm256_fmadd_ps(row, query, sum[q]);
      }
    }
    for (size_t q = 0; q < Q; ++q) out[q * kAttendTile + t] = total(sum[q]) * factor;
  }
}

template <class Read>
void score(const void* bytes, size_t n, const float* queries, size_t count, size_t width, float factor,
           float* out, const void*) {
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

template <class Read, size_t Q>
void mix_queries(const unsigned char* rows, size_t n, const float* shares, size_t width, float* out,
                 size_t stride) {
  const size_t step = Read::bytes(width);
  for (size_t at = 0; at < width; at += 16) {
    const size_t left = width - at, more = left > 8 ? left - 8 : 0;
    const __m256i low = up_to(left), high = up_to(more);
    __m256 a[Q], b[Q];
    for (size_t q = 0; q < Q; ++q) {
      a[q] = _mm256_maskload_ps(out + q * stride + at, low);
      b[q] = more > 0 ? _mm256_maskload_ps(out + q * stride + at + 8, high) : _mm256_setzero_ps();
    }
    for (size_t t = 0; t < n; ++t) {
      const __m256 x = Read::load(rows + t * step, at, left);
      const __m256 y = more > 0 ? Read::load(rows + t * step, at + 8, more) : x;
      for (size_t q = 0; q < Q; ++q) {
        const __m256 share = _mm256_broadcast_ss(shares + q * kAttendTile + t);
        a[q] = _mm256_fmadd_ps(share, x, a[q]), b[q] = _mm256_fmadd_ps(share, y, b[q]);
      }
    }
    for (size_t q = 0; q < Q; ++q) {
      _mm256_maskstore_ps(out + q * stride + at, low, a[q]);
      if (more > 0) _mm256_maskstore_ps(out + q * stride + at + 8, high, b[q]);
    }
  }
}

template <class Read>
void mix(const void* bytes, size_t n, const float* shares, size_t count, size_t width, float* out,
         size_t stride, const void*) {
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

void override_avx2_attend(Kernels& table) {
  set<ReadF32>(table, Format::f32);
  set<ReadF16>(table, Format::f16);
  set<ReadBf16>(table, Format::bf16);
  set<ReadQ8_0>(table, Format::q8_0);
}

}  // namespace varve
