// lora: y += alpha / rank * b a x.
#include "memory/parametric/adapter_kind.h"

namespace varve::adapters {
namespace {

class LowRank : public WeightDelta {
 public:
  LowRank(const AdapterTensor& a, const AdapterTensor& b, float alpha)
      : a_(a), b_(b), scale_(alpha / float(a.rows)) {}

  void add(Ops& ops, Scratch& scratch, Rows x, Rows y, float strength) const override {
    const int64_t mark = scratch.mark();
    const Rows low = scratch.take(x.count(), a_.rows);
    ops.matmul(x, a_.matrix(), low);
    ops.scale(low, scale_ * strength);
    ops.matmul(low, b_.matrix(), y, true);
    scratch.release(mark);
  }
  int64_t scratch_bytes(int32_t rows) const override { return Scratch::bytes_for(rows, a_.rows); }

  void merge(int32_t row, float strength, std::span<float> values) const override {
    const auto rank = size_t(a_.rows);
    for (size_t r = 0; r < rank; ++r) {
      const float factor = scale_ * strength * b_.values[size_t(row) * rank + r];
      const auto a = a_.values.subspan(r * values.size(), values.size());
      for (size_t j = 0; j < values.size(); ++j) values[j] += factor * a[j];
    }
  }

 private:
  const AdapterTensor &a_, &b_;
  float scale_;
};

class Lora : public AdapterKind {
 public:
  Result<std::unique_ptr<WeightDelta>> delta(const AdapterWeight& weight, const WeightStore&) const override {
    TRY(weight.holds_only({"lora_a", "lora_b"}));
    const AdapterTensor* a = TRY(weight.need("lora_a", -1, weight.cols));
    const AdapterTensor* b = TRY(weight.need("lora_b", weight.rows, a->rows));
    return std::unique_ptr<WeightDelta>(std::make_unique<LowRank>(*a, *b, weight.alpha));
  }
};

}  // namespace

Made lora(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<AdapterKind>(std::make_unique<Lora>());
}

}  // namespace varve::adapters
