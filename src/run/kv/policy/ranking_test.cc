// The policies that rank, each by what is its own.
#include <gtest/gtest.h>

#include <numeric>

#include "run/kv/policy.h"

namespace varve {
namespace {

const Fate K = Fate::keep, D = Fate::drop;

std::vector<Fate> plan(const std::string& policy, KvLane lane, size_t keep) {
  static const std::vector<int32_t> kPositions{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  lane.positions =
      std::span(kPositions).first(lane.attention.empty() ? lane.keys.size() / 2 : lane.attention.size());
  return kv_policies().make(policy).value()->plan(lane, keep).fate;
}

KvNeeds needs(const std::string& policy) {
  return kv_policies().make(policy).value()->needs();
}

TEST(H2o, KeepsHeavyHittersAndTheNewestHalfAndHalf) {
  const std::vector<float> attention{1, 7, 2, 8, 3, 0, 0, 0};
  EXPECT_EQ(plan("h2o", {.attention = attention}, 4), (std::vector<Fate>{D, K, D, K, D, D, K, K}));
  EXPECT_EQ(plan("h2o:recent=0", {.attention = attention}, 4), (std::vector<Fate>{D, K, D, K, K, D, D, K}));
  EXPECT_EQ(needs("h2o").attention, KvNeeds::Attention::accumulated);
}

TEST(Tova, KeepsWhatTheNewestQueryLooksAt) {
  const std::vector<float> attention{.4f, 0, .3f, .1f, .2f};
  EXPECT_EQ(plan("tova", {.attention = attention}, 3), (std::vector<Fate>{K, D, K, D, K}));
  EXPECT_EQ(needs("tova").window, 1);
}

TEST(Scissorhands, KeepsWhatWasOftenImportant) {
  const std::vector<float> hits{9, 1, 5, 1, 7, 0, 0};
  EXPECT_EQ(plan("scissorhands:recent=2", {.attention = hits}, 4), (std::vector<Fate>{K, D, D, D, K, K, K}));
  EXPECT_EQ(needs("scissorhands").attention, KvNeeds::Attention::hits);
  EXPECT_EQ(needs("scissorhands:history=99").window, 99);
}

TEST(SirLlm, KeepsSinksTheNewestAndWhatWasUnexpected) {
  const std::vector<float> keys(14), surprise{0, 1, 9, 2, 8, 1, 1};
  EXPECT_EQ(plan("sirllm:sinks=1,recent=1", {.keys = keys, .surprise = surprise}, 4),
            (std::vector<Fate>{K, D, K, D, K, D, K}));
  EXPECT_TRUE(needs("sirllm").surprise);
}

TEST(KeyNorm, KeepsSmallKeys) {
  const std::vector<float> keys{3, 3, 0, 1, 2, 2, 1, 0, 5, 5};
  EXPECT_EQ(plan("keynorm", {.keys = keys}, 3), (std::vector<Fate>{D, K, D, K, K}));
}

TEST(KeyDiff, KeepsKeysThatPointElsewhere) {
  const std::vector<float> keys{1, 0, 2, 0, 0, 3, 4, 0, 1, 0};
  EXPECT_EQ(plan("keydiff", {.keys = keys}, 2), (std::vector<Fate>{D, D, K, D, K}));
}

TEST(EveryRank, RefusesOptionsThatItDoesNotKnow) {
  for (const std::string& name : kv_policies().names())
    EXPECT_EQ(kv_policies().make(name + ":nonsense=1").code(), Code::invalid) << name;
}

}  // namespace
}  // namespace varve
