// H2O (Zhang et al. 2023): a few tokens gather most of the attention. Keep those that received most in all
// since the sequence began, and the newest, half and half.
#include "run/kv/policy.h"

namespace varve::kv_policy {
namespace {

class H2o : public RankingPolicy {
 public:
  explicit H2o(float recent) : recent_(recent) {}

  KvNeeds needs() const override { return {.attention = KvNeeds::Attention::accumulated}; }

  void score(const KvLane& lane, size_t keep, std::span<float> scores) const override {
    const auto recent = size_t(recent_ * float(keep));
    for (size_t i = 0; i < lane.size(); ++i)
      scores[i] = i + recent >= lane.size() ? kStays : lane.attention[i];
  }

 private:
  float recent_;  // share of what is kept
};

}  // namespace

Made h2o(const Spec& spec) {
  float recent = 0.5f;
  TRY(OptionReader(spec).read("recent", recent, 0.f, 1.f).done());
  return std::unique_ptr<KvPolicy>(new H2o(recent));
}

}  // namespace varve::kv_policy
