// AdaKV (Feng et al. 2024): the heads of a layer share one budget: each gets as many tokens as it has among
// those that receive most attention in the layer, and a floor whatever it has.
#include <algorithm>
#include <functional>

#include "run/kv/allot/share_out.h"

namespace varve::kv_allot {
namespace {

class Ada : public KvAllotter {
 public:
  explicit Ada(float floor) : floor_(floor) {}

  bool wants_attention() const override { return true; }

  std::vector<int32_t> allot(std::span<const KvLane> lanes, int32_t budget) const override {
    std::vector<int32_t> kept;
    for (size_t first = 0, end; first < lanes.size(); first = end) {
      for (end = first; end < lanes.size() && lanes[end].layer == lanes[first].layer;) ++end;
      const auto layer = lanes.subspan(first, end - first);
      const std::vector<int32_t> of_layer = share_out(layer, weights(layer, budget), budget);
      kept.insert(kept.end(), of_layer.begin(), of_layer.end());
    }
    return kept;
  }

 private:
  std::vector<double> weights(std::span<const KvLane> layer, int32_t budget) const {
    std::vector<float> all;
    for (const KvLane& lane : layer) all.insert(all.end(), lane.attention.begin(), lane.attention.end());
    const size_t top = std::min(all.size(), layer.size() * size_t(budget));
    std::nth_element(all.begin(), all.begin() + ptrdiff_t(top) - 1, all.end(), std::greater<>());
    const float bar = all[top - 1];
    std::vector<double> weights;
    for (const KvLane& lane : layer) {
      const auto above =
          std::count_if(lane.attention.begin(), lane.attention.end(), [&](float one) { return one >= bar; });
      weights.push_back(double(floor_) * budget + (1 - double(floor_)) * double(above) + 1e-3);
    }
    return weights;
  }

  float floor_;  // of the mean, for every head
};

}  // namespace

Made ada(const Spec& spec) {
  float floor = 0.2f;
  TRY(OptionReader(spec).read("floor", floor, 0.f, 1.f).done());
  return std::unique_ptr<KvAllotter>(new Ada(floor));
}

}  // namespace varve::kv_allot
