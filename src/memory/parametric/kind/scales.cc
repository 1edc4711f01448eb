// scales: each row of the weight times a factor: what is learnt of a quantised model whose codes stay (PEQA,
// Kim et al. 2023).
#include "memory/parametric/kind/rescaled.h"

namespace varve::adapters {
namespace {

class Scales : public AdapterKind {
 public:
  Result<std::unique_ptr<WeightDelta>> delta(const AdapterWeight& weight, const WeightStore&) const override {
    TRY(weight.holds_only({"scale"}));
    const AdapterTensor* scale = TRY(weight.need("scale", 1, weight.rows));
    std::vector<float> factors(scale->values.begin(), scale->values.end());
    return std::unique_ptr<WeightDelta>(std::make_unique<Rescaled>(std::move(factors), nullptr, nullptr, 1));
  }
};

}  // namespace

Made scales(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<AdapterKind>(std::make_unique<Scales>());
}

}  // namespace varve::adapters
