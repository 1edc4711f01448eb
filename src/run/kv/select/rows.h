// For selectors whose rows are keys: a query looks at them as it is.
#pragma once

#include <algorithm>

#include "run/kv/select.h"

namespace varve::kv_select {

class PlainRows : public KvSelector {
 public:
  void look(std::span<const float> query, std::span<float> out) const override {
    std::copy(query.begin(), query.end(), out.begin());
  }
};

// The `rows` keys of a page that differ most from its mean, in their order: those that a query is most likely
// to single out. InfLLM asks instead which keys their neighbours attended to.
class Landmarks : public PlainRows {
 public:
  explicit Landmarks(int32_t rows) : rows_(rows) {}
  Shape shape(int32_t key_dim) const override { return {rows_, key_dim}; }
  void remember(std::span<const float> keys, int32_t key_dim, std::span<float> out) const override;

 private:
  int32_t rows_;
};

}  // namespace varve::kv_select
