// PrefixKV (Wang et al. 2024): every layer keeps as much of its attention as every other: one share of the
// mass for all, as large as the budget allows, found by bisection. Layers that spread it keep more tokens.
#include <algorithm>
#include <functional>
#include <numeric>

#include "run/kv/allot/share_out.h"

namespace varve::kv_allot {
namespace {

// How many of its tokens, best first, a lane needs for so much of its attention.
size_t needed(const std::vector<float>& sorted, double all, double mass) {
  double sum = 0;
  size_t n = 0;
  while (n < sorted.size() && sum < mass * all) sum += sorted[n++];
  return n;
}

class PrefixKv : public KvAllotter {
 public:
  bool wants_attention() const override { return true; }

  std::vector<int32_t> allot(std::span<const KvLane> lanes, int32_t budget) const override {
    std::vector<std::vector<float>> sorted;
    std::vector<double> all;
    for (const KvLane& lane : lanes) {
      sorted.emplace_back(lane.attention.begin(), lane.attention.end());
      std::sort(sorted.back().begin(), sorted.back().end(), std::greater<>());
      all.push_back(std::accumulate(sorted.back().begin(), sorted.back().end(), 0.0));
    }
    const auto layers = size_t(lanes.back().layer) + 1;
    const size_t heads = lanes.size() / layers;
    const auto sizes = [&](double mass) {  // of each layer, over its heads
      std::vector<double> size(layers, 1);
      for (size_t i = 0; i < lanes.size(); ++i) size[i / heads] += double(needed(sorted[i], all[i], mass));
      return size;
    };
    double low = 0, high = 1;
    for (int step = 0; step < 20; ++step) {
      const double middle = (low + high) / 2;
      const std::vector<double> size = sizes(middle);
      const bool fits =
          std::accumulate(size.begin(), size.end(), 0.0) <= double(budget) * double(lanes.size());
      (fits ? low : high) = middle;
    }
    const std::vector<double> size = sizes(low);
    std::vector<double> weights;
    for (size_t i = 0; i < lanes.size(); ++i) weights.push_back(size[i / heads]);
    return share_out(lanes, weights, budget);
  }
};

}  // namespace

Made prefixkv(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<KvAllotter>(new PrefixKv);
}

}  // namespace varve::kv_allot
