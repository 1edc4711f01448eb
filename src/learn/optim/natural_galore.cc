// Natural GaLore (Das 2024): before Adam sees the projected gradient g, it is multiplied by the inverse of
// the empirical Fisher matrix of the last `history` ones, G G^T / h + damping: by Woodbury's identity a
// system of h unknowns. Up to a factor, which Adam does not see, that is g - G (h damping + G^T G)^-1 G^T g,
// where damping is a part of the mean square of the history. State: GaLore's and the history, which a change
// of directions empties.
#include <algorithm>
#include <vector>

#include "learn/optim/galore.h"

namespace varve::optim {
namespace {

// Solves a x = b in place; a [n][n] is symmetric and positive, and is lost.
void solve(std::vector<double>& a, std::vector<double>& b) {
  const size_t n = b.size();
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (size_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      b[i] -= factor * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t j = k + 1; j < n; ++j) b[k] -= a[k * n + j] * b[j];
    b[k] /= a[k * n + k];
  }
}

struct Natural : LowMoments {
  int32_t history = 3;
  float damping = 0.5f;

  int64_t state_bytes(ParamShape shape) const override {
    if (!projected(shape)) return moment_bytes(shape.size());
    return 64 + rank * width(shape) * 4 + (history * 4 + 8) * low_values(shape);
  }

  // low becomes what the inverse makes of it; then it is remembered.
  void precondition(std::span<float> low, float* past, int64_t& seen) const {
    const auto h = size_t(std::min<int64_t>(seen, history)), n = low.size();
    const std::vector<float> own(low.begin(), low.end());
    if (h > 0) {
      std::vector<double> gram(h * h), right(h);
      double trace = 0;
      for (size_t i = 0; i < h; ++i) {
        right[i] = double(kernels().dot(past + i * n, low.data(), nullptr, n));
        for (size_t j = 0; j <= i; ++j) {
          gram[i * h + j] = gram[j * h + i] = double(kernels().dot(past + i * n, past + j * n, nullptr, n));
        }
        trace += gram[i * h + i];
      }
      for (size_t i = 0; i < h; ++i) gram[i * h + i] += double(damping) * trace + 1e-30;
      solve(gram, right);
      for (size_t i = 0; i < h; ++i) {
        const float factor = -float(right[i]);
        kernels().mix(&factor, 1, past + i * n, 0, n, low.data());
      }
    }
    std::copy(own.begin(), own.end(), past + size_t(seen % history) * n);
    ++seen;
  }

  void step(ParamShape shape, std::span<float> param, std::span<const float> gradient,
            std::span<std::byte> state, const StepAt& at) const override {
    AdamStep by = moments.at(at);
    if (!projected(shape)) return adam(by, gradient, param, state);
    const Projection way = projection(shape);
    const auto n = size_t(low_values(shape));
    auto& seen = *reinterpret_cast<int64_t*>(state.data());
    float* directions = floats(state.subspan(64)).data();
    float* past = directions + size_t(rank * width(shape));
    const std::span<float> low = at.work.first(n), move = at.work.subspan(n, n);
    if (at.step == 1) way.draw({at.seed + at.place, 0, Site::init}, directions);
    if (due(at)) way.turn(gradient.data(), directions, low.data()), seen = 0;
    std::fill_n(at.work.begin(), 2 * n, 0.f);
    way.down(gradient.data(), directions, low.data());
    precondition(low, past, seen);
    decay_first(by, param);
    float* m = past + size_t(history) * n;
    kernels().adam(by, low.data(), n, move.data(), m, m + n);
    way.up(directions, move.data(), scale, param.data());
  }
};

}  // namespace

Made natural_galore(const Spec& spec) {
  auto rule = std::make_unique<Natural>();
  OptionReader reader(spec);
  reader.read("history", rule->history, 1, 1000).read("damping", rule->damping, 1e-6f, 1e6f);
  TRY(rule->read(reader));
  if (rule->bits != 32) return Status(Code::invalid, "natural_galore keeps its moments in f32");
  return std::unique_ptr<Optimizer>(std::move(rule));
}

}  // namespace varve::optim
