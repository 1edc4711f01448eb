// SimPO (Meng et al. 2024): -log sigmoid of beta times the difference of the mean log-likelihoods, less a
// margin. No other model is asked.
#include "learn/objective/objective.h"

namespace varve::objective {
namespace {

class Simpo : public Objective {
 public:
  Simpo(double beta, double margin) : beta_(beta), margin_(margin) {}
  int32_t sequences() const override { return 2; }
  double weigh(std::span<const Likelihood> told, std::span<double> slopes) const override {
    const auto chosen = double(told[0].tokens), rejected = double(told[1].tokens);
    const double x = beta_ * (told[1].nll / rejected - told[0].nll / chosen) - margin_;
    const double slope = beta_ * preference_slope(x);
    slopes[0] = -slope / chosen, slopes[1] = slope / rejected;
    return preference_loss(x);
  }

 private:
  double beta_, margin_;
};

}  // namespace

Made simpo(const Spec& spec) {
  float beta = 2, margin = 1;  // the published settings lie near: 2 to 2.5, and half of that
  TRY(OptionReader(spec).read("beta", beta, 1e-4f, 1e3f).read("margin", margin, 0.f, 1e3f).done());
  return std::unique_ptr<Objective>(new Simpo(double(beta), double(margin)));
}

}  // namespace varve::objective
