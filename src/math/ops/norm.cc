// Norms, activations, softmax: one row at a time.
#include <algorithm>
#include <cmath>

#include "math/ops/ops.h"
#include "math/ops/tile.h"

namespace varve {
namespace {

constexpr int32_t kTile = 512;

// Calls with each part of the columns and the parts of the vectors decoded beside it (null when empty).
template <class Part>
void for_parts(const Matrix& weight, const Matrix& bias, int32_t width, const Part& part) {
  for (const Matrix* vector : {&weight, &bias}) {
    if (vector->empty()) continue;
    check_matrix(*vector);
    CHECK(vector->rows == 1 && vector->cols == width, "a vector fits its rows");
  }
  alignas(64) float weights[kTile], biases[kTile];
  for (int32_t at = 0; at < width; at += kTile) {
    const int32_t n = std::min(kTile, width - at);
    if (!weight.empty()) decode_part(weight, 0, at, n, weights);
    if (!bias.empty()) decode_part(bias, 0, at, n, biases);
    part(at, n, weight.empty() ? nullptr : weights, bias.empty() ? nullptr : biases);
  }
}

struct Norm {
  const Matrix &weight, &bias;
  double epsilon;
  bool centred;

  void operator()(const float* x, int32_t width, float* out) const {
    const Kernels& k = kernels();
    const float mean = centred ? float(k.sum(x, size_t(width)) / width) : 0;
    const auto factor = float(1 / std::sqrt(k.squares(x, mean, size_t(width)) / width + epsilon));
    for_parts(weight, bias, width, [&](int32_t at, int32_t n, const float* weights, const float* biases) {
      k.normalize(x + at, mean, factor, weights, biases, size_t(n), out + at);
    });
  }
};

}  // namespace

void Ops::rms_norm(Rows x, const Matrix& weight, float epsilon, Rows out, int32_t group) {
  if (group == 0) group = x.width();
  CHECK(x.count() == out.count() && x.width() == out.width() && group > 0 && x.width() % group == 0,
        "shapes of a norm");
  const Norm norm{weight, Matrix{}, epsilon, false};
  each_row(x, 4 * x.width(), [&](int32_t i) {
    for (int32_t at = 0; at < x.width(); at += group) {
      norm(RowsAccess::row(x, i) + at, group, RowsAccess::row(out, i) + at);
    }
  });
}

void Ops::layer_norm(Rows x, const Matrix& weight, const Matrix& bias, float epsilon, Rows out) {
  CHECK(x.count() == out.count() && x.width() == out.width(), "shapes of a norm");
  const Norm norm{weight, bias, epsilon, true};
  each_row(x, 4 * x.width(),
           [&](int32_t i) { norm(RowsAccess::row(x, i), x.width(), RowsAccess::row(out, i)); });
}

void Ops::add_bias(Rows x, const Matrix& bias) {
  for_parts(Matrix{}, bias, x.width(), [&](int32_t at, int32_t n, const float*, const float* biases) {
    for (int32_t i = 0; i < x.count(); ++i) {
      float* to = RowsAccess::row(x, i) + at;
      for (int32_t j = 0; j < n; ++j) to[j] += biases[j];
    }
  });
}

void Ops::activate(Activation kind, Rows x) {
  each_row(x, 8 * x.width(), [&](int32_t i) {
    kernels().activate[size_t(kind)](RowsAccess::row(x, i), nullptr, size_t(x.width()));
  });
}

void Ops::activate_times(Activation kind, Rows gate, Rows up) {
  CHECK(gate.count() == up.count() && gate.width() == up.width(), "shapes of a gate");
  each_row(gate, 8 * gate.width(), [&](int32_t i) {
    kernels().activate[size_t(kind)](RowsAccess::row(gate, i), RowsAccess::row(up, i), size_t(gate.width()));
  });
}

void Ops::activate_times(Activation kind, Rows gate, Rows up, Rows out) {
  CHECK(gate.count() == up.count() && gate.width() == up.width() && out.count() == gate.count() &&
            out.width() == gate.width(),
        "shapes of a gate");
  each_row(gate, 8 * gate.width(), [&](int32_t i) {
    float* to = RowsAccess::row(out, i);
    std::copy_n(RowsAccess::row(gate, i), gate.width(), to);
    kernels().activate[size_t(kind)](to, RowsAccess::row(up, i), size_t(gate.width()));
  });
}

void Ops::soft_cap(Rows x, float cap) {
  each_row(x, 8 * x.width(),
           [&](int32_t i) { kernels().soft_cap(RowsAccess::row(x, i), cap, size_t(x.width())); });
}

void Ops::softmax(Rows x) {
  each_row(x, 8 * x.width(), [&](int32_t i) {
    float* values = RowsAccess::row(x, i);
    const size_t n = size_t(x.width());
    const float sum = kernels().exp_sum(values, kernels().max(values, n), n);
    kernels().scale(values, 1 / sum, n);
  });
}

}  // namespace varve
