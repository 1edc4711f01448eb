// Products and sums of rows. An output is one register of 16 running sums, whatever shares the loop with it.
#include "math/kernel/avx512/lanes.h"

namespace varve {
namespace {

// W weight rows by X input rows: W X sums in registers, W + X loads for W X products.
template <size_t W, size_t X>
void dot_block(const float* w, size_t w_stride, const float* x, size_t x_stride, size_t n, Lanes* sums,
               size_t sums_stride) {
  __m512 sum[W][X];
  for (size_t i = 0; i < W; ++i) {
    for (size_t j = 0; j < X; ++j) sum[i][j] = get(sums[i * sums_stride + j]);
  }
  size_t k = 0;
  for (; k + 16 <= n; k += 16) {
    __m512 from_x[X];
    for (size_t j = 0; j < X; ++j) from_x[j] = _mm512_loadu_ps(x + j * x_stride + k);
    for (size_t i = 0; i < W; ++i) {
      const __m512 from_w = _mm512_loadu_ps(w + i * w_stride + k);
      for (size_t j = 0; j < X; ++j) sum[i][j] = _mm512_fmadd_ps(from_w, from_x[j], sum[i][j]);
    }
  }
  if (k < n) {
    const __mmask16 mask = up_to(n - k);
    for (size_t i = 0; i < W; ++i) {
      const __m512 from_w = _mm512_maskz_loadu_ps(mask, w + i * w_stride + k);
      for (size_t j = 0; j < X; ++j) {
        sum[i][j] = _mm512_fmadd_ps(from_w, _mm512_maskz_loadu_ps(mask, x + j * x_stride + k), sum[i][j]);
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
  for (; j + 6 <= x_rows; j += 6)
    dot_block<W, 6>(w, w_stride, x + j * x_stride, x_stride, n, sums + j, x_rows);
  x += j * x_stride, sums += j;
  switch (x_rows - j) {
    case 1: return dot_block<W, 1>(w, w_stride, x, x_stride, n, sums, x_rows);
    case 2: return dot_block<W, 2>(w, w_stride, x, x_stride, n, sums, x_rows);
    case 3: return dot_block<W, 3>(w, w_stride, x, x_stride, n, sums, x_rows);
    case 4: return dot_block<W, 4>(w, w_stride, x, x_stride, n, sums, x_rows);
    case 5: return dot_block<W, 5>(w, w_stride, x, x_stride, n, sums, x_rows);
    default: return;
  }
}

void dot_f32(const float* w, size_t w_stride, size_t w_rows, const float* x, size_t x_stride, size_t x_rows,
             size_t n, Lanes* sums) {
  size_t i = 0;
  for (; i + 4 <= w_rows; i += 4) {
    dot_rows<4>(w + i * w_stride, w_stride, x, x_stride, x_rows, n, sums + i * x_rows);
  }
  for (; i < w_rows; ++i) dot_rows<1>(w + i * w_stride, w_stride, x, x_stride, x_rows, n, sums + i * x_rows);
}

// 16 sums at once, in a tree: lane i and i + 8, then i + 4, i + 2, i + 1. Each level packs two registers into
// one; the order of loading makes the results come out in order.
__m512 finish_16(const Lanes* sums) {
  __m512 eight[8], four[4], two[2];
  for (size_t i = 0; i < 8; ++i) {
    const __m512 a = get(sums[i / 2 + i % 2 * 8]), b = get(sums[i / 2 + i % 2 * 8 + 4]);
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

void finish(const Lanes* sums, size_t n, float* out) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) _mm512_storeu_ps(out + i, finish_16(sums + i));
  if (i == n) return;
  Lanes rest[16];
  for (size_t j = 0; j < 16; ++j) set(rest[j], i + j < n ? get(sums[i + j]) : _mm512_setzero_ps());
  _mm512_mask_storeu_ps(out + i, up_to(n - i), finish_16(rest));
}

// 32 values; `sums` gets the sum of each 16 quants.
float quantize_group(__m512 a, __m512 b, int8_t* q, int* sums) {
  const __m512 largest = _mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b));
  const __m512 infinity = _mm512_set1_ps(__builtin_inff());
  const __mmask16 odd = _mm512_cmp_ps_mask(_mm512_abs_ps(a), infinity, _CMP_NLT_UQ) |
                        _mm512_cmp_ps_mask(_mm512_abs_ps(b), infinity, _CMP_NLT_UQ);
  const float top = _mm512_reduce_max_ps(largest);
  const bool finite = odd == 0;
  const __m512 inverse = _mm512_set1_ps(finite && top > 0x1p-100f ? 127 / top : 0);
  const __mmask16 keep = finite ? 0xffff : 0;  // NaN to an integer would be a large one
  const __m512i first = _mm512_maskz_cvtps_epi32(keep, _mm512_mul_ps(a, inverse));
  const __m512i second = _mm512_maskz_cvtps_epi32(keep, _mm512_mul_ps(b, inverse));
  _mm_store_si128(reinterpret_cast<__m128i*>(q), _mm512_cvtepi32_epi8(first));
  _mm_store_si128(reinterpret_cast<__m128i*>(q + 16), _mm512_cvtepi32_epi8(second));
  sums[0] = _mm512_reduce_add_epi32(first), sums[1] = _mm512_reduce_add_epi32(second);
  return finite ? top / 127 : __builtin_nanf("");
}

template <size_t V>  // V registers of columns
void mix_columns(const float* factors, size_t n, const float* rows, size_t stride, __mmask16 last,
                 float* out) {
  __m512 sum[V];
  for (size_t v = 0; v < V; ++v) sum[v] = _mm512_maskz_loadu_ps(v + 1 < V ? 0xffff : last, out + 16 * v);
  for (size_t i = 0; i < n; ++i) {
    const __m512 factor = _mm512_set1_ps(factors[i]);
    for (size_t v = 0; v < V; ++v) {
      const __m512 row = _mm512_maskz_loadu_ps(v + 1 < V ? 0xffff : last, rows + i * stride + 16 * v);
      sum[v] = _mm512_fmadd_ps(factor, row, sum[v]);
    }
  }
  for (size_t v = 0; v < V; ++v) _mm512_mask_storeu_ps(out + 16 * v, v + 1 < V ? 0xffff : last, sum[v]);
}

void mix(const float* factors, size_t n, const float* rows, size_t stride, size_t width, float* out) {
  size_t j = 0;
  for (; j + 128 <= width; j += 128) mix_columns<8>(factors, n, rows + j, stride, 0xffff, out + j);
  for (; j + 64 <= width; j += 64) mix_columns<4>(factors, n, rows + j, stride, 0xffff, out + j);
  for (; j < width; j += 16) mix_columns<1>(factors, n, rows + j, stride, up_to(width - j), out + j);
}

}  // namespace

void quantize_avx512(const float* x, size_t n, InputPanel* out) {
  for (size_t at = 0; at < n; at += kPanel, ++out) {
    alignas(64) int sums[16];
    for (size_t group = 0; group < 8; ++group) {
      const size_t from = at + 32 * group, left = n > from ? n - from : 0;
      const __m512 a = _mm512_maskz_loadu_ps(up_to(left), x + from);
      const __m512 b = _mm512_maskz_loadu_ps(up_to(left > 16 ? left - 16 : 0), x + from + 16);
      out->scale[2 * group] = out->scale[2 * group + 1] =
          quantize_group(a, b, out->q + 32 * group, sums + 2 * group);
    }
    _mm512_store_ps(out->sum,
                    _mm512_mul_ps(_mm512_load_ps(out->scale), _mm512_cvtepi32_ps(_mm512_load_si512(sums))));
  }
}

void override_avx512_products(Kernels& table) {
  table.dot_f32 = dot_f32;
  table.finish = finish;
  table.mix = mix;
}

}  // namespace varve
