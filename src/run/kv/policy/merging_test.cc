// The policies that merge, each by what is its own.
#include <gtest/gtest.h>

#include <numeric>

#include "run/kv/policy.h"

namespace varve {
namespace {

const Fate K = Fate::keep, D = Fate::drop, M = Fate::merge;

struct Lane {
  explicit Lane(size_t n) : positions(n), attention(n), keys(2 * n), weights(n) {
    std::iota(positions.begin(), positions.end(), 0);
  }
  KvPlan plan(const std::string& policy, size_t keep) {
    return kv_policies().make(policy).value()->plan(
        {.positions = positions, .attention = attention, .keys = keys, .weights = weights, .memo = memo},
        keep);
  }
  void key(size_t i, float x, float y) {
    keys[2 * i] = x;
    keys[2 * i + 1] = y;
  }
  std::vector<int32_t> positions;
  std::vector<float> attention, keys, weights, memo = {0};
};

TEST(Razor, OneTokenStandsForAllBetween) {
  Lane lane(8);
  const KvPlan plan = lane.plan("razor:sinks=1", 4);
  EXPECT_EQ(plan.fate, (std::vector<Fate>{K, K, M, M, M, M, K, K}));
  for (size_t i = 2; i < 6; ++i) EXPECT_EQ(plan.into[i], 1);
  EXPECT_TRUE(plan.counted && plan.share.empty()) << "a mean over all that it stands for";
}

TEST(D2o, MergesWhatResemblesAKeptKeyMoreThanSuchTokensDo) {
  Lane lane(6);
  lane.attention = {0, 5, 4, 1, 1, 0};
  lane.key(0, 0, 1), lane.key(1, 1, 0), lane.key(2, 0, 2), lane.key(3, 3, 0), lane.key(4, -1, -1);
  lane.key(5, 0, 1);
  const KvPlan plan = lane.plan("d2o:sinks=0,recent=0.34", 3);
  EXPECT_EQ(plan.fate, (std::vector<Fate>{M, K, K, M, D, K}));
  EXPECT_EQ(plan.into[3], 1);
  EXPECT_EQ(plan.into[0], 2) << "the first of those as near";
  EXPECT_FLOAT_EQ(plan.share[3], 1) << "its cosine, beside 1 of the key that stays";
  EXPECT_FALSE(plan.counted);
  EXPECT_NEAR(lane.memo[0], (1 + 1 - 0.7071f) / 3, 1e-4) << "the bar of the next plan begins here";
}

TEST(KvMerger, ARunOfLikeKeysBecomesTheOneThatIsLookedAt) {
  Lane lane(7);
  lane.attention = {9, 1, 3, 2, 1, 1, 1};
  lane.key(0, 1, 0), lane.key(1, 0, 1), lane.key(2, 0.1f, 1), lane.key(3, 0, 1.2f), lane.key(4, -1, 0);
  lane.key(5, 1, 1), lane.key(6, 0, 1);
  const KvPlan plan = lane.plan("kvmerger:recent=0.2,heavy=0.2", 5);
  EXPECT_EQ(plan.fate, (std::vector<Fate>{K, M, K, M, K, K, K}));
  EXPECT_EQ(plan.into[1], 2);
  EXPECT_EQ(plan.into[3], 2);
  EXPECT_EQ(plan.share[2], 1);
  EXPECT_LT(plan.share[3], plan.share[1]) << "further from the one that stays";
  EXPECT_EQ(lane.plan("kvmerger:recent=0.2,heavy=0.2", 4).fate, (std::vector<Fate>{K, M, K, M, D, K, K}))
      << "runs are not enough, so what receives least goes";
}

}  // namespace
}  // namespace varve
