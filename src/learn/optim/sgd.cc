// Stochastic gradient descent (Robbins & Monro 1951), with heavy-ball momentum when asked.
#include "learn/optim/optimizer.h"

namespace varve::optim {
namespace {

struct Sgd : Optimizer {
  float momentum = 0;
  int64_t state_bytes(ParamShape shape) const override { return momentum > 0 ? shape.size() * 4 : 0; }
  void step(ParamShape, std::span<float> param, std::span<const float> gradient, std::span<std::byte> state,
            const StepAt& at) const override {
    float* m = floats(state).data();
    for (size_t i = 0; i < param.size(); ++i) {
      float move = gradient[i];
      if (momentum > 0) move = m[i] = momentum * m[i] + gradient[i];
      param[i] -= at.rate * (move + at.decay * param[i]);
    }
  }
};

}  // namespace

Made sgd(const Spec& spec) {
  auto rule = std::make_unique<Sgd>();
  TRY(OptionReader(spec).read("momentum", rule->momentum, 0.f, 0.9999f).done());
  return std::unique_ptr<Optimizer>(std::move(rule));
}

}  // namespace varve::optim
