// TOVA (Oren et al. 2024): a decoder is a recurrent network with as many states as tokens it keeps; what the
// newest query attends to least is the state to give up.
#include "run/kv/policy.h"

namespace varve::kv_policy {
namespace {

class Tova : public RankingPolicy {
 public:
  KvNeeds needs() const override { return {.attention = KvNeeds::Attention::window, .window = 1}; }

  void score(const KvLane& lane, size_t, std::span<float> scores) const override {
    for (size_t i = 0; i < lane.size(); ++i) scores[i] = lane.attention[i];
  }
};

}  // namespace

Made tova(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<KvPolicy>(new Tova);
}

}  // namespace varve::kv_policy
