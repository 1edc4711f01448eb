// RazorAttention (Tang et al. 2024): most heads look only at sinks and the newest. For those, all that lies
// between becomes one token: the mean of its keys and values, weighing as many tokens as it stands for. Give
// the heads that look further back more with allot=heads.
#include "run/kv/policy.h"

namespace varve::kv_policy {
namespace {

class Razor : public KvPolicy {
 public:
  explicit Razor(int sinks) : sinks_(sinks) {}

  KvNeeds needs() const override { return {.merges = true}; }

  KvPlan plan(const KvLane& lane, size_t keep) const override {
    KvPlan plan;
    plan.fate.assign(lane.size(), Fate::keep);
    if (keep >= lane.size()) return plan;
    size_t sinks = 0;
    while (sinks + 2 < keep && lane.positions[sinks] < sinks_) ++sinks;
    const size_t newest = keep > 1 ? keep - sinks - 1 : 1;  // what is left beside the one that stands for all
    plan.into.resize(lane.size());
    for (size_t i = sinks; i + newest < lane.size(); ++i) {
      if (i == sinks && keep > 1) continue;
      plan.fate[i] = keep > 1 ? Fate::merge : Fate::drop;
      plan.into[i] = int32_t(sinks);
    }
    return plan;
  }

 private:
  int sinks_;
};

}  // namespace

Made razor(const Spec& spec) {
  int sinks = 4;
  TRY(OptionReader(spec).read("sinks", sinks, 0, 1024).done());
  return std::unique_ptr<KvPolicy>(new Razor(sinks));
}

}  // namespace varve::kv_policy
