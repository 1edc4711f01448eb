// InfLLM (Xiao et al. 2024): a page is looked up by a few of its keys.
#include <numeric>

#include "run/kv/select/rows.h"

namespace varve::kv_select {

void Landmarks::remember(std::span<const float> keys, int32_t key_dim, std::span<float> out) const {
  const auto dim = size_t(key_dim), rows = size_t(rows_);
  const size_t tokens = keys.size() / dim;
  std::vector<float> mean(dim), far(tokens);
  for (size_t i = 0; i < keys.size(); ++i) mean[i % dim] += keys[i] / float(tokens);
  for (size_t i = 0; i < keys.size(); ++i) {
    const float apart = keys[i] - mean[i % dim];
    far[i / dim] += apart * apart;
  }
  std::vector<size_t> order(tokens);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return far[a] > far[b]; });
  order.resize(std::min(rows, tokens));
  std::sort(order.begin(), order.end());
  while (order.size() < rows) order.push_back(order.back());
  for (size_t row = 0; row < rows; ++row) std::copy_n(&keys[order[row] * dim], dim, &out[row * dim]);
}

Made landmark(const Spec& spec) {
  const SelectPlan plan = TRY(read_plan(spec));
  std::unique_ptr<KvSelector> made(new Landmarks(4));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select
