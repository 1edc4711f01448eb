// What every KV allotter owes the cache. A new allotter is in this test the moment it is in all.def.
#include <gtest/gtest.h>

#include <unistd.h>

#include <numeric>
#include <random>

#include "core/base/check.h"
#include "core/io/env.h"
#include "run/kv/allot/head_file.h"
#include "run/kv/policy.h"

namespace varve {
namespace {

// heads needs a file.
std::string spec_of(const std::string& name) {
  if (name != "heads") return name;
  HeadProfile profile{.layers = 4, .heads = 2, .lanes = std::vector<HeadProfile::Head>(8)};
  profile.lanes[3].recall = profile.lanes[6].recall = 1;
  const std::string path = testing::TempDir() + "varve_heads_" + std::to_string(getpid());
  const std::string text = to_text(profile);
  CHECK(write_file(posix_env(), path, std::as_bytes(std::span(text))).ok(), "a head file");
  return name + ":full=0.25,window=100,file=" + path;
}

class EveryAllotter : public testing::TestWithParam<std::string> {};

TEST_P(EveryAllotter, SharesOutAtMostTheBudgetAndSomethingToEveryLane) {
  auto made = kv_allotters().make(spec_of(GetParam()));
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
      if ((*made)->wants_marks()) one.marks = attention[size_t(lane)];
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

TEST(Heads, ThoseThatLookFarBackGetWhatTheOthersLeave) {
  auto heads = kv_allotters().make(spec_of("heads"));
  ASSERT_TRUE(heads.ok());
  std::vector<KvLane> lanes;
  for (int i = 0; i < 8; ++i) lanes.push_back({.layer = i / 2, .head = i % 2});
  EXPECT_EQ((*heads)->allot(lanes, 400), (std::vector<int32_t>{100, 100, 100, 1300, 100, 100, 1300, 100}));
  EXPECT_EQ((*heads)->allot(lanes, 100), (std::vector<int32_t>{50, 50, 50, 250, 50, 50, 250, 50}));
  EXPECT_TRUE((*heads)->fits(4, 2).ok());
  EXPECT_EQ((*heads)->fits(4, 4).code(), Code::invalid);
  EXPECT_EQ(kv_allotters().make("heads").code(), Code::invalid);
  EXPECT_EQ(kv_allotters().make("heads:file=/nowhere").code(), Code::not_found);
}

TEST(HeadFile, IsReadAsItWasWrittenAndNothingElseIs) {
  HeadProfile profile{.layers = 2, .heads = 1, .lanes = {{0.25f, 0.5f}, {1, 0}}};
  const std::string text = to_text(profile);
  auto read = parse_head_profile(text);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->layers, 2);
  EXPECT_EQ(read->lanes[0].recall, 0.25f);
  EXPECT_EQ(read->lanes[1].far, 0);
  for (size_t cut = 0; cut + 1 < text.size(); ++cut)
    EXPECT_FALSE(parse_head_profile(text.substr(0, cut)).ok() && cut + 10 < text.size()) << cut;
  EXPECT_EQ(parse_head_profile(text + "1").code(), Code::invalid);
  EXPECT_EQ(parse_head_profile("varve heads 1\n65536 65536\n").code(), Code::invalid);
  EXPECT_EQ(parse_head_profile("varve heads 1\n1 1\n0 0 nan 0\n").code(), Code::invalid);
}

}  // namespace
}  // namespace varve
