// PyramidKV (Cai et al. 2024): early layers spread their attention, late ones gather it on a few tokens, so
// the first layer keeps most, the last 1 / beta of the mean, and those between on a line.
#include <algorithm>
#include <cmath>

#include "run/kv/policy.h"

namespace varve::kv_allot {
namespace {

class Pyramid : public KvAllotter {
 public:
  explicit Pyramid(int beta) : beta_(beta) {}

  std::vector<int32_t> allot(std::span<const KvLane> lanes, int32_t budget) const override {
    const int layers = lanes.back().layer + 1;
    const double last = std::max(1.0, double(budget) / beta_), first = 2 * double(budget) - last;
    std::vector<int32_t> kept;
    for (const KvLane& lane : lanes) {
      const double along = layers > 1 ? double(lane.layer) / (layers - 1) : 0.5;
      kept.push_back(std::max(1, int32_t(std::floor(first + (last - first) * along))));
    }
    return kept;
  }

 private:
  int beta_;
};

}  // namespace

Made pyramid(const Spec& spec) {
  int beta = 20;
  TRY(OptionReader(spec).read("beta", beta, 1, 1000).done());
  return std::unique_ptr<KvAllotter>(new Pyramid(beta));
}

}  // namespace varve::kv_allot
