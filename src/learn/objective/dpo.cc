// Direct preference optimization (Rafailov et al. 2023): -log sigmoid of beta times how much more the chosen
// answer gained on the rejected one, since the model as it was.
#include "learn/objective/objective.h"

namespace varve::objective {
namespace {

class Dpo : public Objective {
 public:
  explicit Dpo(double beta) : beta_(beta) {}
  int32_t sequences() const override { return 2; }
  bool needs_base() const override { return true; }
  double weigh(std::span<const Likelihood> told, std::span<double> slopes) const override {
    const double gain = (told[0].base - told[0].nll) - (told[1].base - told[1].nll);
    const double slope = beta_ * preference_slope(beta_ * gain);
    slopes[0] = -slope, slopes[1] = slope;
    return preference_loss(beta_ * gain);
  }

 private:
  double beta_;
};

}  // namespace

Made dpo(const Spec& spec) {
  float beta = 0.1f;
  TRY(OptionReader(spec).read("beta", beta, 1e-4f, 1e3f).done());
  return std::unique_ptr<Objective>(new Dpo(double(beta)));
}

}  // namespace varve::objective
