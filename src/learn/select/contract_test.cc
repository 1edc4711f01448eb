// What every selector owes: no more layers than it said, the same ones when asked again, all of them in time.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "learn/select/selector.h"

namespace varve {
namespace {

constexpr int32_t kLayers = 8;

struct Trial {
  std::vector<std::vector<uint8_t>> live;
  std::vector<std::byte> state;
};

// Layer 3 alone matters to the loss; a layer moves less each time that it learns.
Trial trial(const std::string& spec, int64_t steps) {
  const auto one = std::move(selectors().make(spec)).value();
  Trial made{{}, std::vector<std::byte>(size_t(one->state_bytes(kLayers)))};
  std::vector<int> learnt(kLayers);
  for (int64_t step = 1; step <= steps; ++step) {
    std::vector<uint8_t> live(kLayers);
    const Occasion turn{step, 5,
                        [](std::span<const uint8_t> on) -> Result<double> { return on[3] ? 0.5 : 2.0; }};
    EXPECT_TRUE(one->choose(turn, made.state, live).ok());
    EXPECT_LE(std::accumulate(live.begin(), live.end(), 0), one->most(kLayers));
    if (const auto moves = one->moves(made.state)) {
      std::vector<double> by(kLayers, -1);
      for (size_t i = 0; i < by.size(); ++i) {
        if (live[i]) by[i] = (i == 3 ? 2 : 1) / double(++learnt[i] + 1);
      }
      moves(by);
    }
    made.live.push_back(live);
  }
  return made;
}

int count(const Trial& trial, size_t layer) {
  int sum = 0;
  for (const auto& live : trial.live) sum += live[layer];
  return sum;
}

class EverySelector : public testing::TestWithParam<std::string> {};

TEST_P(EverySelector, KeepsItsWordAndComesRound) {
  const Trial one = trial(GetParam(), 400), again = trial(GetParam(), 400);
  EXPECT_EQ(one.live, again.live);
  EXPECT_EQ(one.state, again.state);
  for (size_t layer = 0; layer < kLayers; ++layer) EXPECT_GT(count(one, layer), 0) << layer;
  EXPECT_EQ(selectors().make(GetParam() + ":speed=3").code(), Code::invalid);
}

INSTANTIATE_TEST_SUITE_P(Select, EverySelector, testing::ValuesIn(selectors().names()),
                         [](const auto& one) { return one.param; });

TEST(Lisa, ChangesEverySoManyStepsAndTreatsAllAlike) {
  const Trial one = trial("lisa:layers=2,every=5", 2000);
  for (size_t i = 0; i < one.live.size(); ++i) {
    const auto& before = one.live[i % 5 == 0 ? i : i - 1];
    EXPECT_EQ(one.live[i], before);
    EXPECT_EQ(std::accumulate(one.live[i].begin(), one.live[i].end(), 0), 2);
  }
  for (size_t layer = 0; layer < kLayers; ++layer) EXPECT_NEAR(count(one, layer), 500, 150);
}

TEST(Ist, LearnsWhichLayerMatters) {
  const Trial one = trial("ist:layers=2,every=5", 600);
  for (size_t layer = 0; layer < kLayers; ++layer) {
    EXPECT_TRUE(layer == 3 || count(one, 3) > count(one, layer) * 3 / 2) << layer;
  }
}

TEST(SlimFit, LetsTheLayersThatMoveMostLearn) {
  const Trial one = trial("slimfit:frozen=0.75", 400);
  for (size_t layer = 0; layer < kLayers; ++layer) {
    EXPECT_TRUE(layer == 3 || count(one, 3) > count(one, layer) * 3 / 2) << layer;
  }
}

}  // namespace
}  // namespace varve
