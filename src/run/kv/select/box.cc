// Quest (Tang et al. 2024) and LServe (Yang et al. 2025): the least and the largest value of each channel
// bound the logits of a page from above. The bound is a product: the query's positive part times the largest,
// its negative part times the least. `rows` boxes a page make it tighter.
#include <algorithm>

#include "run/kv/select/rows.h"

namespace varve::kv_select {
namespace {

class Box : public RowSelector {
 public:
  explicit Box(int32_t rows) : rows_(rows) {}
  Shape shape(int32_t key_dim) const override { return {rows_, 2 * key_dim}; }
  void remember(std::span<const float> keys, int32_t key_dim, std::span<float> out) const override {
    const auto dim = size_t(key_dim);
    const size_t tokens = keys.size() / dim, each = tokens / size_t(rows_);
    for (size_t row = 0; row < size_t(rows_); ++row) {
      float* largest = &out[row * 2 * dim];
      float* least = largest + dim;
      const size_t first = row * each, end = row + 1 < size_t(rows_) ? first + each : tokens;
      for (size_t d = 0; d < dim; ++d) largest[d] = least[d] = keys[first * dim + d];
      for (size_t i = first * dim; i < end * dim; ++i) {
        largest[i % dim] = std::max(largest[i % dim], keys[i]);
        least[i % dim] = std::min(least[i % dim], keys[i]);
      }
    }
  }
  void look(std::span<const float> query, std::span<float> out) const override {
    for (size_t i = 0; i < query.size(); ++i) {
      out[i] = std::max(query[i], 0.f);
      out[query.size() + i] = std::min(query[i], 0.f);
    }
  }

 private:
  int32_t rows_;
};

}  // namespace

Made box(const Spec& spec) {
  Spec rest = spec;
  const Spec own = take_options(rest, {"rows"});
  int32_t rows = 1;
  TRY(OptionReader(own).read("rows", rows, 1, 16).done());
  const SelectPlan plan = TRY(read_plan(rest));
  std::unique_ptr<KvSelector> made(new Box(rows));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select
