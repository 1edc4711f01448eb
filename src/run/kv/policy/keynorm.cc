// Key norm (Devoto et al. 2024): keys with a small norm get the attention; keep them.
// Needs decoded keys and no attention.
#include "run/kv/policy.h"

namespace varve::kv_policy {
namespace {

class KeyNorm : public RankingPolicy {
 public:
  KvNeeds needs() const override { return {.keys = true}; }

  void score(const KvLane& lane, size_t, std::span<float> scores) const override {
    const size_t width = lane.keys.size() / lane.size();
    for (size_t i = 0; i < lane.size(); ++i) {
      float sum = 0;
      for (float k : lane.keys.subspan(i * width, width)) sum += k * k;
      scores[i] = -sum;
    }
  }
};

}  // namespace

Made keynorm(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<KvPolicy>(new KeyNorm);
}

}  // namespace varve::kv_policy
