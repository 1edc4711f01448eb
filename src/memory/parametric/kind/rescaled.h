// What kinds share that change the length of a weight's rows: y = f (w x + scale b a x), with a factor f for
// each row, and with or without the low-rank sum. Beside another adapter it rescales what that one added
// before it, attached and merged alike.
#pragma once

#include "memory/parametric/adapter_kind.h"

namespace varve::adapters {

class Rescaled : public WeightDelta {
 public:
  Rescaled(std::vector<float> factors, const AdapterTensor* a, const AdapterTensor* b, float scale)
      : factors_(std::move(factors)), a_(a), b_(b), scale_(scale) {}

  void add(Ops& ops, Scratch& scratch, Rows x, Rows y, float strength) const override {
    const int64_t mark = scratch.mark();
    const Rows turned = scratch.take(y.count(), y.width());
    ops.copy(y, turned);
    if (a_ != nullptr) {
      const Rows low = scratch.take(x.count(), a_->rows);
      ops.matmul(x, a_->matrix(), low);
      ops.scale(low, scale_);
      ops.matmul(low, b_->matrix(), turned, true);
    }
    ops.scale_columns(turned, factors_);
    ops.scale(turned, strength);
    ops.scale(y, 1 - strength);
    ops.add(turned, y);
    scratch.release(mark);
  }
  int64_t scratch_bytes(int32_t rows) const override {
    return Scratch::bytes_for(rows, int32_t(factors_.size())) +
           (a_ == nullptr ? 0 : Scratch::bytes_for(rows, a_->rows));
  }

  void merge(int32_t row, float strength, std::span<float> values) const override {
    const float factor = factors_[size_t(row)];
    const auto rank = a_ == nullptr ? 0 : size_t(a_->rows);
    for (float& value : values) value *= 1 + strength * (factor - 1);
    for (size_t r = 0; r < rank; ++r) {
      const float by = strength * factor * scale_ * b_->values[size_t(row) * rank + r];
      const auto a = a_->values.subspan(r * values.size(), values.size());
      for (size_t j = 0; j < values.size(); ++j) values[j] += by * a[j];
    }
  }

 private:
  std::vector<float> factors_;
  const AdapterTensor *a_, *b_;
  float scale_;
};

}  // namespace varve::adapters
