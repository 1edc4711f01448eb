// Norms, exponentials and activations over a row, 16 values at a time; the last part is masked.
#include "math/kernel/avx512/lanes.h"

namespace varve {
namespace {

__m512d low(__m512 v) {
  return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}
__m512d high(__m512 v) {
  return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}
__m512 all(float value) {
  return _mm512_set1_ps(value);
}

double sum(const float* x, size_t n) {
  __m512d a = _mm512_setzero_pd(), b = _mm512_setzero_pd();
  for (size_t i = 0; i < n; i += 16) {
    const __m512 v = _mm512_maskz_loadu_ps(up_to(n - i), x + i);
    a = _mm512_add_pd(a, low(v)), b = _mm512_add_pd(b, high(v));
  }
  return _mm512_reduce_add_pd(_mm512_add_pd(a, b));
}

double squares(const float* x, float mean, size_t n) {
  __m512d a = _mm512_setzero_pd(), b = _mm512_setzero_pd();
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    const __m512 v = _mm512_mask_loadu_ps(all(mean), mask, x + i);
    const __m512d centre = _mm512_set1_pd(double(mean));
    const __m512d c = _mm512_sub_pd(low(v), centre), d = _mm512_sub_pd(high(v), centre);
    a = _mm512_fmadd_pd(c, c, a), b = _mm512_fmadd_pd(d, d, b);
  }
  return _mm512_reduce_add_pd(_mm512_add_pd(a, b));
}

void normalize(const float* x, float mean, float factor, const float* weight, const float* bias, size_t n,
               float* out) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    __m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), all(mean)), all(factor));
    if (weight != nullptr) v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, weight + i));
    if (bias != nullptr) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, bias + i));
    _mm512_mask_storeu_ps(out + i, mask, v);
  }
}

// e^x = 2^n e^r with |r| <= ln 2 / 2 and the series of e^r to r^7: an error below 1e-8 before rounding.
__m512 exp_of(__m512 x) {
  x = _mm512_min_ps(all(150), _mm512_max_ps(all(-150), x));  // in this order NaN stays NaN
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, all(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(n, all(0.693145752f), x);  // ln 2 in two parts
  r = _mm512_fnmadd_ps(n, all(1.42860682e-6f), r);
  __m512 p = all(1.98412698e-4f);
  p = _mm512_fmadd_ps(p, r, all(1.38888889e-3f));
  p = _mm512_fmadd_ps(p, r, all(8.33333333e-3f));
  p = _mm512_fmadd_ps(p, r, all(4.16666667e-2f));
  p = _mm512_fmadd_ps(p, r, all(1.66666667e-1f));
  p = _mm512_fmadd_ps(p, r, all(0.5f));
  p = _mm512_fmadd_ps(p, r, all(1));
  p = _mm512_fmadd_ps(p, r, all(1));
  return _mm512_scalef_ps(p, n);
}

__m512 silu(__m512 x) {
  return _mm512_div_ps(x, _mm512_add_ps(all(1), exp_of(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}
// (1 + tanh u) / 2 = 1 / (1 + e^-2u); u = sqrt(2 / pi) (x + 0.044715 x^3)
__m512 gelu_tanh(__m512 x) {
  const __m512 cubic = _mm512_fmadd_ps(_mm512_mul_ps(x, x), all(0.044715f), all(1));
  const __m512 minus_2u = _mm512_mul_ps(_mm512_mul_ps(x, all(-1.59576912f)), cubic);
  return _mm512_div_ps(x, _mm512_add_ps(all(1), exp_of(minus_2u)));
}
__m512 relu(__m512 x) {
  return _mm512_max_ps(x, _mm512_setzero_ps());
}

template <__m512 (*function)(__m512)>
void activate(float* x, const float* times, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    __m512 v = function(_mm512_maskz_loadu_ps(mask, x + i));
    if (times != nullptr) v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, times + i));
    _mm512_mask_storeu_ps(x + i, mask, v);
  }
}

// Near 0 an odd polynomial (Moshier's), elsewhere 1 - 2 / (1 + e^2y).
__m512 tanh_of(__m512 y) {
  const __m512 square = _mm512_mul_ps(y, y);
  __m512 p = all(-5.70498872745e-3f);
  p = _mm512_fmadd_ps(p, square, all(2.06390887954e-2f));
  p = _mm512_fmadd_ps(p, square, all(-5.37397155531e-2f));
  p = _mm512_fmadd_ps(p, square, all(1.33314422036e-1f));
  p = _mm512_fmadd_ps(p, square, all(-3.33332819422e-1f));
  const __m512 near = _mm512_fmadd_ps(_mm512_mul_ps(p, square), y, y);
  const __m512 e = exp_of(_mm512_add_ps(y, y));
  const __m512 far = _mm512_sub_ps(all(1), _mm512_div_ps(all(2), _mm512_add_ps(all(1), e)));
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(y), all(0.625f), _CMP_LT_OQ), far, near);
}

void soft_cap(float* x, float cap, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    const __m512 y = _mm512_div_ps(_mm512_maskz_loadu_ps(mask, x + i), all(cap));
    _mm512_mask_storeu_ps(x + i, mask, _mm512_mul_ps(all(cap), tanh_of(y)));
  }
}

float max(const float* x, size_t n) {
  __m512 largest = all(-__builtin_inff());
  for (size_t i = 0; i < n; i += 16) {
    largest = _mm512_mask_max_ps(largest, up_to(n - i), _mm512_maskz_loadu_ps(up_to(n - i), x + i), largest);
  }
  return _mm512_reduce_max_ps(largest);
}

float exp_sum(float* x, float shift, size_t n) {
  __m512d a = _mm512_setzero_pd(), b = _mm512_setzero_pd();
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    const __m512 v =
        _mm512_maskz_mov_ps(mask, exp_of(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), all(shift))));
    _mm512_mask_storeu_ps(x + i, mask, v);
    a = _mm512_add_pd(a, low(v)), b = _mm512_add_pd(b, high(v));
  }
  return float(_mm512_reduce_add_pd(_mm512_add_pd(a, b)));
}

void scale(float* x, float factor, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    _mm512_mask_storeu_ps(x + i, mask, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), all(factor)));
  }
}

// f(x) = x s and f'(x) = s + x s (1 - s) z', with s the logistic function of z(x).
struct Slope {
  __m512 value, slope;
};
Slope gated(__m512 x, __m512 minus_z, __m512 turn) {
  const __m512 s = _mm512_div_ps(all(1), _mm512_add_ps(all(1), exp_of(minus_z)));
  const __m512 value = _mm512_mul_ps(x, s);
  return {value, _mm512_fmadd_ps(_mm512_mul_ps(value, turn), _mm512_sub_ps(all(1), s), s)};
}
Slope silu_slope(__m512 x) {
  return gated(x, _mm512_sub_ps(_mm512_setzero_ps(), x), all(1));
}
Slope gelu_tanh_slope(__m512 x) {
  const __m512 square = _mm512_mul_ps(x, x);
  const __m512 cubic = _mm512_fmadd_ps(square, all(0.044715f), all(1));
  const __m512 turn = _mm512_mul_ps(all(1.59576912f), _mm512_fmadd_ps(square, all(0.134145f), all(1)));
  return gated(x, _mm512_mul_ps(_mm512_mul_ps(x, all(-1.59576912f)), cubic), turn);
}

template <Slope (*function)(__m512)>
void activate_back(float* x, float* times, const float* d, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    const Slope at = function(_mm512_maskz_loadu_ps(mask, x + i));
    const __m512 from = _mm512_maskz_loadu_ps(mask, d + i);
    __m512 slope = at.slope;
    if (times != nullptr) {
      slope = _mm512_mul_ps(slope, _mm512_maskz_loadu_ps(mask, times + i));
      _mm512_mask_storeu_ps(times + i, mask, _mm512_mul_ps(at.value, from));
    }
    _mm512_mask_storeu_ps(x + i, mask, _mm512_mul_ps(slope, from));
  }
}

// The columns of a block that a row sees, 16 to a mask.
struct Columns {
  uint64_t bits;
  Columns(int32_t first, int32_t end)
      : bits((end >= 64 ? ~uint64_t(0) : (uint64_t(1) << end) - 1) & ~uint64_t(0) << (first & 63)) {
    if (first >= end) bits = 0;
  }
  __mmask16 operator[](size_t at) const { return __mmask16(bits >> at); }
};

void soften(float* scores, size_t stride, size_t rows, size_t cols, const SeenRange& seen, float factor,
            const Softening& to) {
  alignas(64) float before[64], sums[64];
  for (size_t i = 0; i < rows; ++i, scores += stride) {
    const Columns columns(seen.first[i], seen.end[i]);
    __m512 v[4], largest = all(-__builtin_inff()), sum = _mm512_setzero_ps();
    for (size_t j = 0; j < cols; j += 16) {
      const __m512 x = _mm512_mul_ps(_mm512_loadu_ps(scores + j), all(factor));
      v[j / 16] = _mm512_mask_mov_ps(all(-__builtin_inff()), columns[j], x);
      largest = _mm512_max_ps(v[j / 16], largest);
    }
    before[i] = to.largest[i];
    const float reduced = _mm512_reduce_max_ps(largest);
    const float shift = columns.bits != 0 && !(reduced < before[i]) ? reduced : before[i];
    for (size_t j = 0; j < cols; j += 16) {
      const __m512 e = _mm512_maskz_mov_ps(columns[j], exp_of(_mm512_sub_ps(v[j / 16], all(shift))));
      _mm512_storeu_ps(scores + j, e);
      sum = _mm512_add_ps(sum, e);
    }
    to.largest[i] = shift;
    sums[i] = _mm512_reduce_add_ps(sum);
  }
  for (size_t i = 0; i < rows; i += 16) {
    const __mmask16 mask = up_to(rows - i);
    const __m512 sum = _mm512_maskz_loadu_ps(mask, to.sum + i);
    const __mmask16 some = _mm512_mask_cmp_ps_mask(mask, sum, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    const __m512 grown =
        _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, before + i), _mm512_maskz_loadu_ps(mask, to.largest + i));
    const __m512 shrink = _mm512_mask_mov_ps(all(1), some, exp_of(grown));
    _mm512_mask_storeu_ps(to.shrink + i, mask, shrink);
    _mm512_mask_storeu_ps(to.sum + i, mask,
                          _mm512_fmadd_ps(sum, shrink, _mm512_maskz_loadu_ps(mask, sums + i)));
  }
}

void soften_back(float* p, float* d, size_t stride, size_t rows, size_t cols, const SeenRange& seen,
                 float factor, const Softened& by) {
  for (size_t i = 0; i < rows; ++i, p += stride, d += stride) {
    const Columns columns(seen.first[i], seen.end[i]);
    for (size_t j = 0; j < cols; j += 16) {
      const __m512 x = _mm512_fmsub_ps(_mm512_loadu_ps(p + j), all(factor), all(by.log_sums[i]));
      const __m512 e = _mm512_maskz_mov_ps(columns[j], exp_of(x));
      const __m512 from = _mm512_sub_ps(_mm512_loadu_ps(d + j), all(by.shifts[i]));
      _mm512_storeu_ps(p + j, e);
      _mm512_storeu_ps(d + j, _mm512_maskz_mul_ps(columns[j], _mm512_mul_ps(e, from), all(factor)));
    }
  }
}

// No fused products from here on: the bits are the oracle's.
float dot(const float* a, const float* b, const float* times, size_t n) {
  __m512 sum = _mm512_setzero_ps();
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    __m512 v = _mm512_maskz_loadu_ps(mask, a + i);
    if (times != nullptr) v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, times + i));
    sum = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(mask, b + i), sum);
  }
  return _mm512_reduce_add_ps(sum);
}

void normalize_back(const float* x, const float* weight, const float* d, float factor, float pull, size_t n,
                    float* dx, float* dweight) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    const __m512 at = _mm512_maskz_loadu_ps(mask, x + i);
    const __m512 along = _mm512_mul_ps(all(factor), _mm512_maskz_loadu_ps(mask, d + i));
    __m512 v = along;
    if (weight != nullptr) v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, weight + i));
    v = _mm512_sub_ps(v, _mm512_mul_ps(all(pull), at));
    _mm512_mask_storeu_ps(dx + i, mask, _mm512_add_ps(_mm512_maskz_loadu_ps(mask, dx + i), v));
    if (dweight == nullptr) continue;
    const __m512 sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, dweight + i), _mm512_mul_ps(along, at));
    _mm512_mask_storeu_ps(dweight + i, mask, sum);
  }
}

__m512 decayed(float keep, __m512 old, __m512 fresh) {
  return _mm512_add_ps(_mm512_mul_ps(all(keep), old), _mm512_mul_ps(all(1 - keep), fresh));
}

void adam(const AdamStep& step, const float* g, size_t n, float* w, float* m, float* v) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    const __m512 from = _mm512_maskz_loadu_ps(mask, g + i), at = _mm512_maskz_loadu_ps(mask, w + i);
    const __m512 first = decayed(step.beta1, _mm512_maskz_loadu_ps(mask, m + i), from);
    const __m512 second = decayed(step.beta2, _mm512_maskz_loadu_ps(mask, v + i), _mm512_mul_ps(from, from));
    const __m512 size =
        _mm512_add_ps(_mm512_sqrt_ps(_mm512_mul_ps(second, all(step.correct2))), all(step.epsilon));
    const __m512 move =
        _mm512_div_ps(_mm512_mul_ps(all(step.rate), _mm512_mul_ps(first, all(step.correct1))), size);
    _mm512_mask_storeu_ps(m + i, mask, first);
    _mm512_mask_storeu_ps(v + i, mask, second);
    _mm512_mask_storeu_ps(w + i, mask,
                          _mm512_sub_ps(at, _mm512_add_ps(_mm512_mul_ps(all(step.decay), at), move)));
  }
}

}  // namespace

void override_avx512_rows(Kernels& table) {
  table.sum = sum;
  table.squares = squares;
  table.normalize = normalize;
  table.activate[size_t(Activation::silu)] = activate<silu>;
  table.activate[size_t(Activation::gelu_tanh)] = activate<gelu_tanh>;
  table.activate[size_t(Activation::relu)] = activate<relu>;
  table.soft_cap = soft_cap;
  table.max = max;
  table.exp_sum = exp_sum;
  table.scale = scale;
  table.activate_back[size_t(Activation::silu)] = activate_back<silu_slope>;
  table.activate_back[size_t(Activation::gelu_tanh)] = activate_back<gelu_tanh_slope>;
  table.soften = soften;
  table.soften_back = soften_back;
  table.dot = dot;
  table.normalize_back = normalize_back;
  table.adam = adam;
}

}  // namespace varve
