// Products and sums of rows. An output is one register of 8 running sums, whatever shares the loop with it.
#include "math/kernel/avx2/lanes.h"

namespace varve {
namespace {

template <size_t W, size_t X>
void dot_block(const float* w, size_t w_stride, const float* x, size_t x_stride, size_t n, Lanes* sums,
               size_t sums_stride) {
  __m256 sum[W][X];
  for (size_t i = 0; i < W; ++i) {
    for (size_t j = 0; j < X; ++j) sum[i][j] = get(sums[i * sums_stride + j]);
  }
  size_t k = 0;
  for (; k + 8 <= n; k += 8) {
    __m256 from_x[X];
    for (size_t j = 0; j < X; ++j) from_x[j] = _mm256_loadu_ps(x + j * x_stride + k);
    for (size_t i = 0; i < W; ++i) {
      const __m256 from_w = _mm256_loadu_ps(w + i * w_stride + k);
      for (size_t j = 0; j < X; ++j) sum[i][j] = _mm256_fmadd_ps(from_w, from_x[j], sum[i][j]);
    }
  }
  if (k < n) {
    const __m256i mask = up_to(n - k);
    for (size_t i = 0; i < W; ++i) {
      const __m256 from_w = _mm256_maskload_ps(w + i * w_stride + k, mask);
      for (size_t j = 0; j < X; ++j) {
        sum[i][j] = _mm256_fmadd_ps(from_w, _mm256_maskload_ps(x + j * x_stride + k, mask), sum[i][j]);
      }
    }
  }
  for (size_t i = 0; i < W; ++i) {
    for (size_t j = 0; j < X; ++j) set(sums[i * sums_stride + j], sum[i][j]);
  }
}

template <size_t W>
void dot_rows(const float* w, size_t w_stride, const float* x, size_t x_stride, size_t x_rows, size_t n,
              Lanes* sums) {
  size_t j = 0;
  for (; j + 2 <= x_rows; j += 2)
    dot_block<W, 2>(w, w_stride, x + j * x_stride, x_stride, n, sums + j, x_rows);
  if (j < x_rows) dot_block<W, 1>(w, w_stride, x + j * x_stride, x_stride, n, sums + j, x_rows);
}

void dot_f32(const float* w, size_t w_stride, size_t w_rows, const float* x, size_t x_stride, size_t x_rows,
             size_t n, Lanes* sums) {
  size_t i = 0;
  for (; i + 4 <= w_rows; i += 4) {
    dot_rows<4>(w + i * w_stride, w_stride, x, x_stride, x_rows, n, sums + i * x_rows);
  }
  for (; i < w_rows; ++i) dot_rows<1>(w + i * w_stride, w_stride, x, x_stride, x_rows, n, sums + i * x_rows);
}

__m128 fold(__m256 v) {
  return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}
float total(__m128 v) {
  v = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)));
}

void finish(const Lanes* sums, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = total(fold(get(sums[i])));
}

int total(__m256i v) {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  four = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtsi128_si32(four) + _mm_extract_epi32(four, 1);
}
float largest_of(__m256 v) {
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

void quantize_group(const float* x, size_t n, size_t group, InputPanel& out) {
  __m256 v[4], largest = _mm256_setzero_ps(), odd = _mm256_setzero_ps();
  const __m256 sign = _mm256_set1_ps(-0.f), infinity = _mm256_set1_ps(__builtin_inff());
  for (size_t i = 0; i < 4; ++i) {
    v[i] = _mm256_maskload_ps(x + 8 * i, up_to(n > 8 * i ? n - 8 * i : 0));
    const __m256 size = _mm256_andnot_ps(sign, v[i]);
    largest = _mm256_max_ps(largest, size);
    odd = _mm256_or_ps(odd, _mm256_cmp_ps(size, infinity, _CMP_NLT_UQ));
  }
  const bool finite = _mm256_movemask_ps(odd) == 0;
  const float top = largest_of(largest), scale = finite ? top / 127 : __builtin_nanf("");
  const __m256 inverse = _mm256_set1_ps(top > 0x1p-100f ? 127 / top : 0);
  for (size_t i = 0; i < 2; ++i) {
    __m256i a = _mm256_setzero_si256(), b = a;
    if (finite) {
      a = _mm256_cvtps_epi32(_mm256_mul_ps(v[2 * i], inverse));
      b = _mm256_cvtps_epi32(_mm256_mul_ps(v[2 * i + 1], inverse));
    }
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_store_si128(reinterpret_cast<__m128i*>(out.q + 32 * group + 16 * i), bytes);
    out.scale[2 * group + i] = scale;
    out.sum[2 * group + i] = scale * float(total(_mm256_add_epi32(a, b)));
  }
}

template <size_t V>  // V registers of columns
void mix_columns(const float* factors, size_t n, const float* rows, size_t stride, float* out) {
  __m256 sum[V];
  for (size_t v = 0; v < V; ++v) sum[v] = _mm256_loadu_ps(out + 8 * v);
  for (size_t i = 0; i < n; ++i) {
    const __m256 factor = _mm256_set1_ps(factors[i]);
    for (size_t v = 0; v < V; ++v) {
      sum[v] = _mm256_fmadd_ps(factor, _mm256_loadu_ps(rows + i * stride + 8 * v), sum[v]);
    }
  }
  for (size_t v = 0; v < V; ++v) _mm256_storeu_ps(out + 8 * v, sum[v]);
}

void mix(const float* factors, size_t n, const float* rows, size_t stride, size_t width, float* out) {
  size_t j = 0;
  for (; j + 64 <= width; j += 64) mix_columns<8>(factors, n, rows + j, stride, out + j);
  for (; j + 8 <= width; j += 8) mix_columns<1>(factors, n, rows + j, stride, out + j);
  if (j == width) return;
  const __m256i mask = up_to(width - j);
  __m256 sum = _mm256_maskload_ps(out + j, mask);
  for (size_t i = 0; i < n; ++i) {
    sum = _mm256_fmadd_ps(_mm256_set1_ps(factors[i]), _mm256_maskload_ps(rows + i * stride + j, mask), sum);
  }
  _mm256_maskstore_ps(out + j, mask, sum);
}

}  // namespace

void quantize_avx2(const float* x, size_t n, InputPanel* out) {
  for (size_t at = 0; at < n; at += kPanel, ++out) {
    for (size_t group = 0; group < 8; ++group) {
      const size_t from = at + 32 * group;
      quantize_group(from < n ? x + from : x, from < n ? n - from : 0, group, *out);
    }
  }
}

void override_avx2_products(Kernels& table) {
  table.dot_f32 = dot_f32;
  table.finish = finish;
  table.quantize = quantize_avx2;
  table.mix = mix;
}

}  // namespace varve
