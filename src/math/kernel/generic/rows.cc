// What happens to a row of activations, by the C library and in double where sums are long.
#include <cmath>
#include <limits>

#include "math/kernel/generic/generic.h"

namespace varve::generic {
namespace {

double sum(const float* x, size_t n) {
  double total = 0;
  for (size_t i = 0; i < n; ++i) total += double(x[i]);
  return total;
}
double squares(const float* x, float mean, size_t n) {
  double total = 0;
  for (size_t i = 0; i < n; ++i) total += (double(x[i]) - double(mean)) * (double(x[i]) - double(mean));
  return total;
}
void normalize(const float* x, float mean, float factor, const float* weight, const float* bias, size_t n,
               float* out) {
  for (size_t i = 0; i < n; ++i) {
    float value = (x[i] - mean) * factor;
    if (weight != nullptr) value *= weight[i];
    if (bias != nullptr) value += bias[i];
    out[i] = value;
  }
}

double silu(double x) {
  return x / (1 + std::exp(-x));
}
double gelu_tanh(double x) {  // Hendrycks & Gimpel 2016; sqrt(2 / pi)
  return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}
double gelu_erf(double x) {
  return 0.5 * x * std::erfc(-x * 0.70710678118654752440);
}
double relu(double x) {
  return x > 0 ? x : 0;
}

template <double (*function)(double)>
void activate(float* x, const float* times, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    x[i] = float(function(double(x[i])));
    if (times != nullptr) x[i] *= times[i];
  }
}

void soft_cap(float* x, float cap, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = float(double(cap) * std::tanh(double(x[i]) / double(cap)));
}
float max(const float* x, size_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}
float exp_sum(float* x, float shift, size_t n) {
  double total = 0;
  for (size_t i = 0; i < n; ++i) total += double(x[i] = std::exp(x[i] - shift));
  return float(total);
}
void scale(float* x, float factor, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] *= factor;
}

}  // namespace

void add_rows(Kernels& table) {
  table.sum = sum;
  table.squares = squares;
  table.normalize = normalize;
  table.activate[size_t(Activation::silu)] = activate<silu>;
  table.activate[size_t(Activation::gelu_tanh)] = activate<gelu_tanh>;
  table.activate[size_t(Activation::gelu_erf)] = activate<gelu_erf>;
  table.activate[size_t(Activation::relu)] = activate<relu>;
  table.soft_cap = soft_cap;
  table.max = max;
  table.exp_sum = exp_sum;
  table.scale = scale;
}

}  // namespace varve::generic
