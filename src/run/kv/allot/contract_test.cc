// What every KV allotter owes the cache. A new allotter is in this test the moment it is in all.def.
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "run/kv/policy.h"

namespace varve {
namespace {

class EveryAllotter : public testing::TestWithParam<std::string> {};

TEST_P(EveryAllotter, SharesOutAtMostTheBudgetAndSomethingToEveryLane) {
  auto made = kv_allotters().make(GetParam());
  ASSERT_TRUE(made.ok());
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const int layers = 1 + int(random() % 9), heads = 1 + int(random() % 4), budget = 1 + int(random() % 300);
    std::vector<std::vector<int32_t>> positions;
    std::vector<std::vector<float>> attention;
    std::vector<KvLane> lanes;
    for (int lane = 0; lane < layers * heads; ++lane) {
      const size_t n = 1 + random() % 400;
      positions.emplace_back(n);
      std::iota(positions.back().begin(), positions.back().end(), 0);
      attention.emplace_back(n);
      for (float& one : attention.back()) one = round % 5 == 0 ? 0 : float(random() % 1000) / 1000;
    }
    for (int lane = 0; lane < layers * heads; ++lane) {
      KvLane one{.layer = lane / heads, .head = lane % heads, .positions = positions[size_t(lane)]};
      if ((*made)->wants_attention()) one.attention = attention[size_t(lane)];
      lanes.push_back(one);
    }
    const std::vector<int32_t> allotted = (*made)->allot(lanes, budget);
    ASSERT_EQ(allotted.size(), lanes.size());
    int64_t held = 0;
    for (size_t i = 0; i < lanes.size(); ++i) {
      EXPECT_GE(allotted[i], 1);
      held += allotted[i];
    }
    EXPECT_LE(held, int64_t(budget) * int64_t(lanes.size()));
    EXPECT_EQ((*made)->allot(lanes, budget), allotted) << "not deterministic";
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryAllotter, testing::ValuesIn(kv_allotters().names()),
                         [](const auto& one) { return one.param; });

TEST(Pyramid, GoesFromTwiceTheMeanDownToAFractionOfIt) {
  std::vector<KvLane> lanes;
  for (int layer = 0; layer < 5; ++layer) lanes.push_back({.layer = layer});
  EXPECT_EQ(kv_allotters().make("pyramid:beta=4").value()->allot(lanes, 100),
            (std::vector<int32_t>{175, 137, 100, 62, 25}));
}

}  // namespace
}  // namespace varve
