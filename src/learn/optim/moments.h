// The options that Adam's relatives share.
#pragma once

#include "learn/optim/optimizer.h"
#include "math/kernel/kernel.h"

namespace varve::optim {

struct Moments {
  float beta1 = 0.9f, beta2 = 0.95f, epsilon = 1e-8f;
  OptionReader& read(OptionReader& reader) {
    return reader.read("beta1", beta1, 0.f, 0.9999f)
        .read("beta2", beta2, 0.f, 0.99999f)
        .read("epsilon", epsilon, 1e-20f, 1.f);
  }
  AdamStep at(const StepAt& at) const {
    const auto t = double(at.step);
    return {.rate = at.rate,
            .beta1 = beta1,
            .beta2 = beta2,
            .epsilon = epsilon,
            .decay = at.rate * at.decay,
            .correct1 = float(1 / (1 - std::pow(double(beta1), t))),
            .correct2 = float(1 / (1 - std::pow(double(beta2), t)))};
  }
};

}  // namespace varve::optim
