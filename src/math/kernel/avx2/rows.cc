// Norms, exponentials and activations over a row, 8 values at a time; the last part is masked.
#include "math/kernel/avx2/lanes.h"

namespace varve {
namespace {

__m256d low(__m256 v) {
  return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}
__m256d high(__m256 v) {
  return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}
__m256 all(float value) {
  return _mm256_set1_ps(value);
}
__m256 keep(__m256i mask, __m256 v) {
  return _mm256_and_ps(_mm256_castsi256_ps(mask), v);
}

double total(__m256d v) {
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

double sum(const float* x, size_t n) {
  __m256d a = _mm256_setzero_pd(), b = _mm256_setzero_pd();
  for (size_t i = 0; i < n; i += 8) {
    const __m256 v = _mm256_maskload_ps(x + i, up_to(n - i));
    a = _mm256_add_pd(a, low(v)), b = _mm256_add_pd(b, high(v));
  }
  return total(_mm256_add_pd(a, b));
}

double squares(const float* x, float mean, size_t n) {
  __m256d a = _mm256_setzero_pd(), b = _mm256_setzero_pd();
  const __m256d centre = _mm256_set1_pd(double(mean));
  for (size_t i = 0; i < n; i += 8) {
    const __m256i mask = up_to(n - i);
    const __m256 v = _mm256_blendv_ps(all(mean), _mm256_maskload_ps(x + i, mask), _mm256_castsi256_ps(mask));
    const __m256d c = _mm256_sub_pd(low(v), centre), d = _mm256_sub_pd(high(v), centre);
    a = _mm256_fmadd_pd(c, c, a), b = _mm256_fmadd_pd(d, d, b);
  }
  return total(_mm256_add_pd(a, b));
}

void normalize(const float* x, float mean, float factor, const float* weight, const float* bias, size_t n,
               float* out) {
  for (size_t i = 0; i < n; i += 8) {
    const __m256i mask = up_to(n - i);
    __m256 v = _mm256_mul_ps(_mm256_sub_ps(_mm256_maskload_ps(x + i, mask), all(mean)), all(factor));
    if (weight != nullptr) v = _mm256_mul_ps(v, _mm256_maskload_ps(weight + i, mask));
    if (bias != nullptr) v = _mm256_add_ps(v, _mm256_maskload_ps(bias + i, mask));
    _mm256_maskstore_ps(out + i, mask, v);
  }
}

// e^x = 2^n e^r with |r| <= ln 2 / 2 and the series of e^r to r^7: an error below 1e-8 before rounding.
__m256 exp_of(__m256 x) {
  x = _mm256_min_ps(all(150), _mm256_max_ps(all(-150), x));  // in this order NaN stays NaN
  const __m256 n =
      _mm256_round_ps(_mm256_mul_ps(x, all(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(n, all(0.693145752f), x);  // ln 2 in two parts
  r = _mm256_fnmadd_ps(n, all(1.42860682e-6f), r);
  __m256 p = all(1.98412698e-4f);
  p = _mm256_fmadd_ps(p, r, all(1.38888889e-3f));
  p = _mm256_fmadd_ps(p, r, all(8.33333333e-3f));
  p = _mm256_fmadd_ps(p, r, all(4.16666667e-2f));
  p = _mm256_fmadd_ps(p, r, all(1.66666667e-1f));
  p = _mm256_fmadd_ps(p, r, all(0.5f));
  p = _mm256_fmadd_ps(p, r, all(1));
  p = _mm256_fmadd_ps(p, r, all(1));
  // 2^n in two factors, since n may lie outside of what one exponent holds.
  const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
  return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second));
}

__m256 silu(__m256 x) {
  return _mm256_div_ps(x, _mm256_add_ps(all(1), exp_of(_mm256_sub_ps(_mm256_setzero_ps(), x))));
}
// (1 + tanh u) / 2 = 1 / (1 + e^-2u); u = sqrt(2 / pi) (x + 0.044715 x^3)
__m256 gelu_tanh(__m256 x) {
  const __m256 cubic = _mm256_fmadd_ps(_mm256_mul_ps(x, x), all(0.044715f), all(1));
  const __m256 minus_2u = _mm256_mul_ps(_mm256_mul_ps(x, all(-1.59576912f)), cubic);
  return _mm256_div_ps(x, _mm256_add_ps(all(1), exp_of(minus_2u)));
}
__m256 relu(__m256 x) {
  return _mm256_max_ps(x, _mm256_setzero_ps());
}

template <__m256 (*function)(__m256)>
void activate(float* x, const float* times, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    const __m256i mask = up_to(n - i);
    __m256 v = function(_mm256_maskload_ps(x + i, mask));
    if (times != nullptr) v = _mm256_mul_ps(v, _mm256_maskload_ps(times + i, mask));
    _mm256_maskstore_ps(x + i, mask, v);
  }
}

// Near 0 an odd polynomial (Moshier's), elsewhere 1 - 2 / (1 + e^2y).
__m256 tanh_of(__m256 y) {
  const __m256 square = _mm256_mul_ps(y, y);
  __m256 p = all(-5.70498872745e-3f);
  p = _mm256_fmadd_ps(p, square, all(2.06390887954e-2f));
  p = _mm256_fmadd_ps(p, square, all(-5.37397155531e-2f));
  p = _mm256_fmadd_ps(p, square, all(1.33314422036e-1f));
  p = _mm256_fmadd_ps(p, square, all(-3.33332819422e-1f));
  const __m256 near = _mm256_fmadd_ps(_mm256_mul_ps(p, square), y, y);
  const __m256 e = exp_of(_mm256_add_ps(y, y));
  const __m256 far = _mm256_sub_ps(all(1), _mm256_div_ps(all(2), _mm256_add_ps(all(1), e)));
  const __m256 size = _mm256_andnot_ps(all(-0.f), y);
  return _mm256_blendv_ps(far, near, _mm256_cmp_ps(size, all(0.625f), _CMP_LT_OQ));
}

void soft_cap(float* x, float cap, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    const __m256i mask = up_to(n - i);
    const __m256 y = _mm256_div_ps(_mm256_maskload_ps(x + i, mask), all(cap));
    _mm256_maskstore_ps(x + i, mask, _mm256_mul_ps(all(cap), tanh_of(y)));
  }
}

float max(const float* x, size_t n) {
  __m256 largest = all(-__builtin_inff());
  for (size_t i = 0; i < n; i += 8) {
    const __m256i mask = up_to(n - i);
    const __m256 v = _mm256_blendv_ps(largest, _mm256_maskload_ps(x + i, mask), _mm256_castsi256_ps(mask));
    largest = _mm256_max_ps(v, largest);
  }
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(largest), _mm256_extractf128_ps(largest, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

float exp_sum(float* x, float shift, size_t n) {
  __m256d a = _mm256_setzero_pd(), b = _mm256_setzero_pd();
  for (size_t i = 0; i < n; i += 8) {
    const __m256i mask = up_to(n - i);
    const __m256 v = keep(mask, exp_of(_mm256_sub_ps(_mm256_maskload_ps(x + i, mask), all(shift))));
    _mm256_maskstore_ps(x + i, mask, v);
    a = _mm256_add_pd(a, low(v)), b = _mm256_add_pd(b, high(v));
  }
  return float(total(_mm256_add_pd(a, b)));
}

void scale(float* x, float factor, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    const __m256i mask = up_to(n - i);
    _mm256_maskstore_ps(x + i, mask, _mm256_mul_ps(_mm256_maskload_ps(x + i, mask), all(factor)));
  }
}

// What a row does not see is 0.
void clear_unseen(float* x, size_t first, size_t end, size_t cols) {
  for (size_t j = 0; j < first; ++j) x[j] = 0;
  for (size_t j = end; j < cols; ++j) x[j] = 0;
}

void soften(float* scores, size_t stride, size_t rows, size_t cols, const SeenRange& seen, float factor,
            const Softening& to) {
  for (size_t i = 0; i < rows; ++i, scores += stride) {
    const auto first = size_t(seen.first[i]), n = size_t(seen.end[i]) - first;
    scale(scores + first, factor, n);
    const float before = to.largest[i], here = max(scores + first, n);
    const float largest = here > before ? here : before;
    float grown = before;
    to.shrink[i] = to.sum[i] == 0 ? 1 : exp_sum(&grown, largest, 1);
    to.sum[i] = to.sum[i] * to.shrink[i] + exp_sum(scores + first, largest, n);
    to.largest[i] = largest;
    clear_unseen(scores, first, first + n, cols);
  }
}

void soften_back(float* p, float* d, size_t stride, size_t rows, size_t cols, const SeenRange& seen,
                 float factor, const Softened& by) {
  for (size_t i = 0; i < rows; ++i, p += stride, d += stride) {
    const auto first = size_t(seen.first[i]), n = size_t(seen.end[i]) - first;
    scale(p + first, factor, n);
    exp_sum(p + first, by.log_sums[i], n);
    for (size_t j = first; j < first + n; ++j) d[j] = p[j] * (d[j] - by.shifts[i]) * factor;
    clear_unseen(p, first, first + n, cols);
    clear_unseen(d, first, first + n, cols);
  }
}

}  // namespace

void override_avx2_rows(Kernels& table) {
  table.sum = sum;
  table.squares = squares;
  table.normalize = normalize;
  table.activate[size_t(Activation::silu)] = activate<silu>;
  table.activate[size_t(Activation::gelu_tanh)] = activate<gelu_tanh>;
  table.activate[size_t(Activation::relu)] = activate<relu>;
  table.soft_cap = soft_cap;
  table.max = max;
  table.exp_sum = exp_sum;
  table.soften = soften;
  table.soften_back = soften_back;
  table.scale = scale;
}

}  // namespace varve
