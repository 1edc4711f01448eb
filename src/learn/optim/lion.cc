// Lion (Chen et al. 2023): the step is the sign of a mean of gradient and momentum. State: the momentum.
#include "learn/optim/optimizer.h"

namespace varve::optim {
namespace {

struct Lion : Optimizer {
  float beta1 = 0.9f, beta2 = 0.99f;
  int64_t state_bytes(ParamShape shape) const override { return shape.size() * 4; }
  void step(ParamShape, std::span<float> param, std::span<const float> gradient, std::span<std::byte> state,
            const StepAt& at) const override {
    float* m = floats(state).data();
    for (size_t i = 0; i < param.size(); ++i) {
      const float mean = beta1 * m[i] + (1 - beta1) * gradient[i];
      const float sign = float(mean > 0) - float(mean < 0);
      param[i] -= at.rate * (sign + at.decay * param[i]);
      m[i] = beta2 * m[i] + (1 - beta2) * gradient[i];
    }
  }
};

}  // namespace

Made lion(const Spec& spec) {
  auto rule = std::make_unique<Lion>();
  TRY(OptionReader(spec)
          .read("beta1", rule->beta1, 0.f, 0.9999f)
          .read("beta2", rule->beta2, 0.f, 0.99999f)
          .done());
  return std::unique_ptr<Optimizer>(std::move(rule));
}

}  // namespace varve::optim
