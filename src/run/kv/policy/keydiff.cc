// KeyDiff (Park et al. 2025): a key that points elsewhere than the others is one that some query will want;
// of those that point alike, one will do. Keep the keys with the least cosine to their mean direction.
// Needs decoded keys and no attention.
#include <cmath>
#include <vector>

#include "run/kv/policy.h"

namespace varve::kv_policy {
namespace {

class KeyDiff : public RankingPolicy {
 public:
  KvNeeds needs() const override { return {.keys = true}; }

  void score(const KvLane& lane, size_t, std::span<float> scores) const override {
    const size_t width = lane.keys.size() / lane.size();
    std::vector<double> mean(width);
    std::vector<double> norms(lane.size());
    for (size_t i = 0; i < lane.size(); ++i) {
      const auto key = lane.keys.subspan(i * width, width);
      for (float k : key) norms[i] += double(k) * k;
      norms[i] = std::sqrt(norms[i]) + 1e-12;
      for (size_t d = 0; d < width; ++d) mean[d] += key[d] / norms[i];
    }
    for (size_t i = 0; i < lane.size(); ++i) {
      double dot = 0;
      for (size_t d = 0; d < width; ++d) dot += mean[d] * lane.keys[i * width + d];
      scores[i] = float(-dot / norms[i]);
    }
  }
};

}  // namespace

Made keydiff(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<KvPolicy>(new KeyDiff);
}

}  // namespace varve::kv_policy
