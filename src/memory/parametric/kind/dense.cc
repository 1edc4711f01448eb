// dense: y += delta x, with a matrix of the weight's own size: what recipes leave that change all of a
// weight.
#include "memory/parametric/adapter_kind.h"

namespace varve::adapters {
namespace {

class Whole : public WeightDelta {
 public:
  explicit Whole(const AdapterTensor& delta) : delta_(delta) {}

  void add(Ops& ops, Scratch& scratch, Rows x, Rows y, float strength) const override {
    if (strength == 1) return ops.matmul(x, delta_.matrix(), y, true);
    const int64_t mark = scratch.mark();
    const Rows scaled = scratch.take(x.count(), x.width());
    ops.copy(x, scaled);
    ops.scale(scaled, strength);
    ops.matmul(scaled, delta_.matrix(), y, true);
    scratch.release(mark);
  }
  int64_t scratch_bytes(int32_t rows) const override { return Scratch::bytes_for(rows, delta_.cols); }

  void merge(int32_t row, float strength, std::span<float> values) const override {
    const auto own = delta_.values.subspan(size_t(row) * values.size(), values.size());
    for (size_t j = 0; j < values.size(); ++j) values[j] += strength * own[j];
  }

 private:
  const AdapterTensor& delta_;
};

class Dense : public AdapterKind {
 public:
  Result<std::unique_ptr<WeightDelta>> delta(const AdapterWeight& weight, const WeightStore&) const override {
    TRY(weight.holds_only({"delta"}));
    const AdapterTensor* one = TRY(weight.need("delta", weight.rows, weight.cols));
    return std::unique_ptr<WeightDelta>(std::make_unique<Whole>(*one));
  }
};

}  // namespace

Made dense(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<AdapterKind>(std::make_unique<Dense>());
}

}  // namespace varve::adapters
