// dora (Liu et al. 2024): each row of w + alpha / rank * b a, brought to the length lora_magnitude.
#include <cmath>

#include "memory/parametric/kind/rescaled.h"

namespace varve::adapters {
namespace {

class Dora : public AdapterKind {
 public:
  Result<std::unique_ptr<WeightDelta>> delta(const AdapterWeight& weight,
                                             const WeightStore& base) const override {
    TRY(weight.holds_only({"lora_a", "lora_b", "lora_magnitude"}));
    const AdapterTensor* a = TRY(weight.need("lora_a", -1, weight.cols));
    const AdapterTensor* b = TRY(weight.need("lora_b", weight.rows, a->rows));
    const AdapterTensor* magnitude = TRY(weight.need("lora_magnitude", 1, weight.rows));
    const float scale = weight.alpha / float(a->rows);
    std::vector<float> factors(magnitude->values.begin(), magnitude->values.end());
    TRY(over_lengths(weight.role, base, *a, *b, scale, factors));
    return std::unique_ptr<WeightDelta>(std::make_unique<Rescaled>(std::move(factors), a, b, scale));
  }

 private:
  // Each factor over the length of its row, which one pass over the weight tells.
  static Status over_lengths(const std::string& role, const WeightStore& base, const AdapterTensor& a,
                             const AdapterTensor& b, float scale, std::vector<float>& factors) {
    const WeightId id = base.find(role);
    const auto cols = size_t(a.cols), rank = size_t(a.rows);
    std::vector<float> row(cols);
    for (size_t i = 0; i < factors.size(); ++i) {
      const WeightPin pin = TRY(base.pin_rows(id, int32_t(i), 1));
      (*pin).codec->decode((*pin).bytes, row);
      for (size_t r = 0; r < rank; ++r) {
        const float by = scale * b.values[i * rank + r];
        for (size_t j = 0; j < cols; ++j) row[j] += by * a.values[r * cols + j];
      }
      double square = 0;
      for (float value : row) square += double(value) * double(value);
      factors[i] = float(double(factors[i]) / std::sqrt(std::max(square, 1e-20)));
    }
    return {};
  }
};

}  // namespace

Made dora(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<AdapterKind>(std::make_unique<Dora>());
}

}  // namespace varve::adapters
