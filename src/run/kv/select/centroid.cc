// After RetroInfer (Chen et al. 2025): the mean of a few neighbouring keys says which pages matter, and
// stands, with the mean of their values and as heavy as all of them, for those that are not read. The paper
// clusters keys by k-means within a segment; here a cluster is 16 neighbours.
#include <algorithm>

#include "run/kv/select/rows.h"

namespace varve::kv_select {
namespace {

class Centroid : public PlainRows {
 public:
  explicit Centroid(int32_t rows) : rows_(rows) {}
  Shape shape(int32_t key_dim) const override { return {rows_, key_dim}; }
  void remember(std::span<const float> keys, int32_t key_dim, std::span<float> out) const override {
    const auto dim = size_t(key_dim);
    const size_t tokens = keys.size() / dim, each = std::max<size_t>(1, tokens / size_t(rows_));
    std::fill(out.begin(), out.end(), 0.f);
    for (size_t row = 0; row < size_t(rows_); ++row) {
      const size_t first = std::min(row * each, tokens - 1);
      const size_t end = row + 1 < size_t(rows_) ? std::min(first + each, tokens) : tokens;
      for (size_t i = first * dim; i < end * dim; ++i)
        out[row * dim + i % dim] += keys[i] / float(end - first);
    }
  }

 private:
  int32_t rows_;
};

}  // namespace

Made centroid(const Spec& spec) {
  const SelectPlan plan = TRY(read_plan(spec, {.estimate = 16}));
  std::unique_ptr<KvSelector> made(new Centroid(plan.estimate > 0 ? 64 / plan.estimate : 4));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select
