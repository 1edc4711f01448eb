// What every KV policy owes the cache. A new policy is in this test the moment it is in all.def.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "run/kv/policy.h"
#include "run/kv/policy/gate_file_test.h"

namespace varve {
namespace {

class EveryPolicy : public testing::TestWithParam<std::string> {};

TEST_P(EveryPolicy, KeepsExactlyWhatItWasAllottedAndAlwaysTheNewest) {
  auto policy = kv_policies().make(GetParam() == "gate" ? "gate:file=" + GateFile().write() : GetParam());
  ASSERT_TRUE(policy.ok());
  std::mt19937 random(11);
  for (int round = 0; round < 400; ++round) {
    const size_t n = 1 + random() % 200;
    std::vector<int32_t> positions;
    std::vector<float> attention(n), keys(n * 8);
    for (int32_t at = 0; positions.size() < n; ++at) {
      if (random() % 3) positions.push_back(at);
    }
    for (float& value : attention) value = float(random() % 1000) / 1000;
    const size_t keep = 1 + random() % (n + 5);
    const std::vector<float> weights(n);
    std::vector<float> memo((*policy)->needs().memo), fresh = memo;
    KvLane lane{.positions = positions,
                .attention = attention,
                .keys = keys,
                .surprise = attention,
                .marks = attention,
                .weights = weights,
                .memo = memo};
    const KvPlan plan = (*policy)->plan(lane, keep);
    ASSERT_EQ(plan.fate.size(), n);
    EXPECT_EQ(std::count(plan.fate.begin(), plan.fate.end(), Fate::keep), ptrdiff_t(std::min(keep, n)));
    EXPECT_EQ(plan.fate.back(), Fate::keep);
    for (size_t i = 0; i < n; ++i) {
      if (plan.fate[i] != Fate::merge) continue;
      ASSERT_TRUE((*policy)->needs().merges && plan.into.size() == n);
      EXPECT_EQ(plan.fate[size_t(plan.into[i])], Fate::keep) << "a merge into what goes";
      EXPECT_TRUE(plan.share.empty() || plan.share[i] >= 0);
    }
    lane.memo = fresh;
    EXPECT_EQ((*policy)->plan(lane, keep).fate, plan.fate) << "not deterministic";
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryPolicy, testing::ValuesIn(kv_policies().names()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace varve
