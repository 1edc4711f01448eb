// The allotters, each by what is its own.
#include <gtest/gtest.h>

#include <numeric>

#include "run/kv/allot/share_out.h"

namespace varve {
namespace {

struct Lanes {
  explicit Lanes(std::vector<std::vector<float>> of, int heads) : attention(std::move(of)) {
    positions.resize(attention.front().size());
    std::iota(positions.begin(), positions.end(), 0);
    for (size_t i = 0; i < attention.size(); ++i)
      lanes.push_back({.layer = int(i) / heads,
                       .head = int(i) % heads,
                       .positions = std::span(positions).first(attention[i].size()),
                       .attention = attention[i]});
  }
  std::vector<std::vector<float>> attention;
  std::vector<int32_t> positions;
  std::vector<KvLane> lanes;
};

std::vector<float> even(size_t n) {
  return std::vector<float>(n, 1.f / float(n));
}
std::vector<float> peaked(size_t n) {
  std::vector<float> one(n, 0.01f / float(n));
  one[3] = 0.99f;
  return one;
}
std::vector<int32_t> allot(const std::string& name, const Lanes& lanes, int32_t budget) {
  return kv_allotters().make(name).value()->allot(lanes.lanes, budget);
}

TEST(ShareOut, GivesWhatOneCannotUseToTheOthers) {
  const Lanes lanes({even(100), even(100), even(100)}, 1);
  EXPECT_EQ(share_out(lanes.lanes, std::vector<double>{8, 1, 1}, 40), (std::vector<int32_t>{94, 12, 12}));
  EXPECT_EQ(share_out(lanes.lanes, std::vector<double>{98, 1, 1}, 60), (std::vector<int32_t>{100, 40, 40}));
  EXPECT_EQ(share_out(lanes.lanes, std::vector<double>{0, 0, 1}, 30), (std::vector<int32_t>{1, 1, 88}));
}

TEST(PrefixKv, LayersThatSpreadTheirAttentionKeepMore) {
  const Lanes lanes({even(200), even(200), peaked(200), peaked(200)}, 2);
  const auto kept = allot("prefixkv", lanes, 100);
  EXPECT_EQ(kept[0], kept[1]);
  EXPECT_EQ(kept[2], kept[3]);
  EXPECT_GT(kept[0], 150);
  EXPECT_LT(kept[2], 30);
}

TEST(Ada, HeadsOfALayerShareItsBudgetByWhatTheyLookAt) {
  const Lanes lanes({even(200), peaked(200), even(200), even(200)}, 2);
  const auto kept = allot("ada", lanes, 100);
  EXPECT_GT(kept[0], 3 * kept[1]);
  EXPECT_GE(kept[1], 15) << "the floor";
  EXPECT_EQ(kept[2], 100);
  EXPECT_EQ(kept[3], 100);
}

TEST(D2oAllot, LayersWithPeaksKeepLess) {
  const Lanes lanes({even(200), even(200), peaked(200), peaked(200)}, 2);
  const auto kept = allot("d2o", lanes, 100);
  EXPECT_GT(kept[0], 2 * kept[2]);
  EXPECT_EQ(kept[0], kept[1]);
}

TEST(GateAllot, HeadsOfWhichLittleIsWorthKeepingLeaveItToTheOthers) {
  Lanes lanes({std::vector<float>(200, 3), std::vector<float>(200, -3), std::vector<float>(200, 1)}, 1);
  for (KvLane& lane : lanes.lanes) lane.marks = std::exchange(lane.attention, {});
  EXPECT_EQ(allot("gate:window=10", lanes, 80), (std::vector<int32_t>{200, 10, 30}));
  EXPECT_EQ(allot("gate:window=10", lanes, 10), (std::vector<int32_t>{20, 5, 5})) << "half the budget each";
}

}  // namespace
}  // namespace varve
