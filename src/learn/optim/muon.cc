// Muon (Jordan et al. 2024): the momentum of a matrix with its singular values made one, as large as a step
// of Adam's (Liu et al. 2025: 0.2 sqrt(longer side)). Vectors, and matrices `tall` times as high as wide,
// which are embeddings, get plain Adam. State: the momentum in f32.
#include <algorithm>

#include "learn/optim/moments.h"
#include "learn/optim/polar.h"

namespace varve::optim {
namespace {

struct Muon : Optimizer {
  Moments moments;
  float momentum = 0.95f, tall = 4;

  bool element_by_element() const override { return false; }
  bool polar_step(ParamShape shape) const {
    return shape.rows > 1 && float(shape.rows) < tall * float(shape.cols);
  }
  int64_t state_bytes(ParamShape shape) const override { return (polar_step(shape) ? 4 : 8) * shape.size(); }
  int64_t work_bytes(ParamShape shape) const override {
    return polar_step(shape) ? 4 * (shape.size() + polar_work(shape)) : 0;
  }

  void step(ParamShape shape, std::span<float> param, std::span<const float> gradient,
            std::span<std::byte> state, const StepAt& at) const override {
    const AdamStep by = moments.at(at);
    const auto n = size_t(shape.size());
    float* kept = floats(state).data();
    if (!polar_step(shape)) {
      return kernels().adam(by, gradient.data(), n, param.data(), kept, kept + n);
    }
    const auto move = at.work.first(n);
    for (size_t i = 0; i < n; ++i) {
      kept[i] = momentum * kept[i] + (1 - momentum) * gradient[i];
      move[i] = momentum * kept[i] + (1 - momentum) * gradient[i];  // as Nesterov looks ahead
    }
    polar(shape, move, at.work.subspan(n));
    kernels().scale(param.data(), 1 - by.decay, n);
    const float factor = -by.rate * 0.2f * std::sqrt(float(std::max(shape.rows, shape.cols)));
    kernels().mix(&factor, 1, move.data(), 0, n, param.data());
  }
};

}  // namespace

Made muon(const Spec& spec) {
  auto rule = std::make_unique<Muon>();
  OptionReader reader(spec);
  TRY(rule->moments.read(reader)
          .read("momentum", rule->momentum, 0.f, 0.9999f)
          .read("tall", rule->tall, 1.f, 1e6f)
          .done());
  return std::unique_ptr<Optimizer>(std::move(rule));
}

}  // namespace varve::optim
