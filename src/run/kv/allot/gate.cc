// Attention-Gate (Zeng et al. 2024): what a gate says of tokens is compared over all heads and layers, so
// that heads of which little is worth keeping leave their share to the others. Beside a window that all have.
#include <algorithm>

#include "run/kv/policy.h"

namespace varve::kv_allot {
namespace {

class Gate : public KvAllotter {
 public:
  explicit Gate(int window) : window_(window) {}
  bool wants_marks() const override { return true; }

  std::vector<int32_t> allot(std::span<const KvLane> lanes, int32_t budget) const override {
    const int32_t window = std::clamp(window_, 1, std::max(1, budget / 2));
    std::vector<int32_t> kept;
    std::vector<std::pair<float, size_t>> rest;  // mark, lane
    int64_t left = int64_t(lanes.size()) * budget;
    for (size_t i = 0; i < lanes.size(); ++i) {
      const auto newest = std::min(lanes[i].size(), size_t(window));
      kept.push_back(std::max(1, int32_t(newest)));
      left -= kept.back();
      for (size_t token = 0; token + newest < lanes[i].size(); ++token)
        rest.emplace_back(lanes[i].marks[token], i);
    }
    const auto some = rest.begin() + std::clamp<int64_t>(left, 0, int64_t(rest.size()));
    std::nth_element(rest.begin(), some, rest.end(), std::greater<>());
    for (auto one = rest.begin(); one != some; ++one) ++kept[one->second];
    return kept;
  }

 private:
  int window_;
};

}  // namespace

Made gate(const Spec& spec) {
  int window = 20;  // of each lane: what the gate's policy keeps anyway, unless it is told otherwise
  TRY(OptionReader(spec).read("window", window, 1, 1 << 24).done());
  return std::unique_ptr<KvAllotter>(new Gate(window));
}

}  // namespace varve::kv_allot
