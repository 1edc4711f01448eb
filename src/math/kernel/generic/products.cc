// Dot products and sums of rows, in double: a Lanes is one double here.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "math/kernel/generic/generic.h"

namespace varve::generic {
namespace {

double get(const Lanes& lanes) {
  double sum;
  std::memcpy(&sum, lanes.bytes, sizeof(sum));
  return sum;
}
void set(Lanes& lanes, double sum) {
  std::memcpy(lanes.bytes, &sum, sizeof(sum));
}

// Term by term, so that a cut changes nothing.
void dot_f32(const float* w, size_t w_stride, size_t w_rows, const float* x, size_t x_stride, size_t x_rows,
             size_t n, Lanes* sums) {
  for (size_t i = 0; i < w_rows; ++i) {
    for (size_t j = 0; j < x_rows; ++j) {
      double sum = get(sums[i * x_rows + j]);
      for (size_t k = 0; k < n; ++k) sum += double(w[i * w_stride + k]) * double(x[j * x_stride + k]);
      set(sums[i * x_rows + j], sum);
    }
  }
}

void finish(const Lanes* sums, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = float(get(sums[i]));
}

void quantize_group(const float* x, size_t n, size_t group, InputPanel& out) {  // up to 32 values
  float largest = 0;
  bool finite = true;
  for (size_t i = 0; i < n; ++i) {
    largest = std::fmax(largest, std::fabs(x[i]));
    finite = finite && std::isfinite(x[i]);
  }
  const float scale = finite ? largest / 127 : NAN;
  const float inverse = finite && largest > 0x1p-100f ? 127 / largest : 0;
  int sums[2] = {0, 0};
  for (size_t i = 0; i < n && finite; ++i) {
    const int q = int(std::nearbyint(x[i] * inverse));
    out.q[32 * group + i] = int8_t(q);
    sums[i / 16] += q;
  }
  for (size_t half = 0; half < 2; ++half) {
    out.scale[2 * group + half] = scale;
    out.sum[2 * group + half] = scale * float(sums[half]);
  }
}

void quantize(const float* x, size_t n, InputPanel* out) {
  std::fill_n(out, (n + kPanel - 1) / kPanel, InputPanel{});
  for (size_t at = 0; at < n; at += 32) {
    quantize_group(x + at, n - at < 32 ? n - at : 32, at % kPanel / 32, out[at / kPanel]);
  }
}

void mix(const float* factors, size_t n, const float* rows, size_t stride, size_t width, float* out) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < width; ++j) out[j] = std::fma(factors[i], rows[i * stride + j], out[j]);
  }
}

}  // namespace

void add_panel(const WeightPanel& w, const InputPanel& x, Lanes& sum) {
  double all = 0;
  for (size_t group = 0; group < 16; ++group) {
    int dot = 0;
    for (size_t i = 16 * group; i < 16 * group + 16; ++i) dot += int(w.q[i]) * int(x.q[i]);
    all +=
        double(w.scale[group]) * double(x.scale[group]) * dot - double(w.min[group]) * double(x.sum[group]);
  }
  set(sum, get(sum) + all);
}

void add_products(Kernels& table) {
  table.dot_f32 = dot_f32;
  table.finish = finish;
  table.quantize = quantize;
  table.mix = mix;
}

}  // namespace varve::generic
