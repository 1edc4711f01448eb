// D2O's layers (Wan et al. 2024): where attention varies little from token to token, many tokens matter. A
// layer's share falls with the variance of what its tokens received, by a softmax over the layers.
#include <cmath>
#include <numeric>

#include "run/kv/allot/share_out.h"

namespace varve::kv_allot {
namespace {

// Of shares that sum to one, times their number: 0 when all are alike.
double variance(std::span<const float> attention) {
  const double all = std::accumulate(attention.begin(), attention.end(), 0.0);
  if (all <= 0) return 0;
  const double n = double(attention.size());
  double sum = 0;
  for (float one : attention) sum += (n * one / all - 1) * (n * one / all - 1);
  return sum / n;
}

class D2o : public KvAllotter {
 public:
  bool wants_attention() const override { return true; }

  std::vector<int32_t> allot(std::span<const KvLane> lanes, int32_t budget) const override {
    const auto layers = size_t(lanes.back().layer) + 1;
    const size_t heads = lanes.size() / layers;
    std::vector<double> of_layer(layers);
    for (size_t i = 0; i < lanes.size(); ++i)
      of_layer[i / heads] += variance(lanes[i].attention) / double(heads);
    const double mean = std::accumulate(of_layer.begin(), of_layer.end(), 0.0) / double(layers);
    std::vector<double> weights;
    for (size_t i = 0; i < lanes.size(); ++i)
      weights.push_back(mean > 0 ? std::exp(-of_layer[i / heads] / mean) : 1);
    return share_out(lanes, weights, budget);
  }
};

}  // namespace

Made d2o(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<KvAllotter>(new D2o);
}

}  // namespace varve::kv_allot
