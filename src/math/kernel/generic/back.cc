// What learning does to a row. Plain float arithmetic, element by element: the same bits on every ISA, but
// for the exponentials and dot().
#include <algorithm>
#include <cmath>

#include "math/kernel/generic/generic.h"

namespace varve::generic {
namespace {

struct Slope {  // a function and its derivative
  double value, slope;
};
// x s(z) with s the logistic function of z(x); turn is z'(x).
Slope gated(double x, double z, double turn) {
  const double s = 1 / (1 + std::exp(-z));
  return {x * s, s + x * s * (1 - s) * turn};
}
Slope silu(double x) {
  return gated(x, x, 1);
}
Slope gelu_tanh(double x) {
  return gated(x, 1.5957691216057308 * (x + 0.044715 * x * x * x),
               1.5957691216057308 * (1 + 0.134145 * x * x));
}
Slope gelu_erf(double x) {
  const double below = 0.5 * std::erfc(-x * 0.70710678118654752440);
  return {x * below, below + x * 0.39894228040143267794 * std::exp(-0.5 * x * x)};
}
Slope relu(double x) {
  return {x > 0 ? x : 0, x > 0 ? 1.0 : 0.0};
}

template <Slope (*function)(double)>
void activate_back(float* x, float* times, const float* d, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const Slope at = function(double(x[i]));
    const float by = times == nullptr ? 1.f : times[i];
    if (times != nullptr) times[i] = float(at.value) * d[i];
    x[i] = float(at.slope) * by * d[i];
  }
}

void soften(float* scores, size_t stride, size_t rows, size_t cols, const SeenRange& seen, float factor,
            const Softening& to) {
  for (size_t i = 0; i < rows; ++i, scores += stride) {
    const auto first = size_t(seen.first[i]), end = size_t(seen.end[i]);
    float largest = to.largest[i];
    for (size_t j = first; j < end; ++j) largest = std::max(largest, scores[j] * factor);
    double sum = 0;
    for (size_t j = 0; j < cols; ++j) {
      const bool one = j >= first && j < end;
      scores[j] = one ? float(std::exp(double(scores[j] * factor - largest))) : 0;
      sum += double(scores[j]);
    }
    to.shrink[i] = to.sum[i] == 0 ? 1 : float(std::exp(double(to.largest[i] - largest)));
    to.sum[i] = to.sum[i] * to.shrink[i] + float(sum);
    to.largest[i] = largest;
  }
}

void soften_back(float* p, float* d, size_t stride, size_t rows, size_t cols, const SeenRange& seen,
                 float factor, const Softened& by) {
  for (size_t i = 0; i < rows; ++i, p += stride, d += stride) {
    for (size_t j = 0; j < cols; ++j) {
      const bool one = j >= size_t(seen.first[i]) && j < size_t(seen.end[i]);
      p[j] = one ? float(std::exp(double(p[j] * factor - by.log_sums[i]))) : 0;
      d[j] = one ? p[j] * (d[j] - by.shifts[i]) * factor : 0;
    }
  }
}

float dot(const float* a, const float* b, const float* times, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i)
    sum += double(a[i]) * double(b[i]) * (times != nullptr ? double(times[i]) : 1);
  return float(sum);
}

void normalize_back(const float* x, const float* weight, const float* d, float factor, float pull, size_t n,
                    float* dx, float* dweight) {
  for (size_t i = 0; i < n; ++i) {
    const float along = factor * d[i];
    dx[i] += (weight != nullptr ? along * weight[i] : along) - pull * x[i];
    if (dweight != nullptr) dweight[i] += along * x[i];
  }
}

void adam(const AdamStep& step, const float* g, size_t n, float* w, float* m, float* v) {
  for (size_t i = 0; i < n; ++i) {
    m[i] = step.beta1 * m[i] + (1 - step.beta1) * g[i];
    v[i] = step.beta2 * v[i] + (1 - step.beta2) * (g[i] * g[i]);
    const float size = std::sqrt(v[i] * step.correct2) + step.epsilon;
    w[i] -= step.decay * w[i] + step.rate * (m[i] * step.correct1) / size;
  }
}

}  // namespace

void add_back(Kernels& table) {
  table.activate_back[size_t(Activation::silu)] = activate_back<silu>;
  table.activate_back[size_t(Activation::gelu_tanh)] = activate_back<gelu_tanh>;
  table.activate_back[size_t(Activation::gelu_erf)] = activate_back<gelu_erf>;
  table.activate_back[size_t(Activation::relu)] = activate_back<relu>;
  table.soften = soften;
  table.soften_back = soften_back;
  table.dot = dot;
  table.normalize_back = normalize_back;
  table.adam = adam;
}

}  // namespace varve::generic
