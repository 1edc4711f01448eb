// signSGD (Bernstein et al. 2018): every value moves by the rate, against its gradient's sign. No state.
#include "learn/optim/optimizer.h"

namespace varve::optim {
namespace {

struct SignSgd : Optimizer {
  int64_t state_bytes(ParamShape) const override { return 0; }
  void step(ParamShape, std::span<float> param, std::span<const float> gradient, std::span<std::byte>,
            const StepAt& at) const override {
    for (size_t i = 0; i < param.size(); ++i) {
      const float sign = float(gradient[i] > 0) - float(gradient[i] < 0);
      param[i] -= at.rate * (sign + at.decay * param[i]);
    }
  }
};

}  // namespace

Made signsgd(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Optimizer>(new SignSgd);
}

}  // namespace varve::optim
