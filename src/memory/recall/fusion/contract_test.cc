// What every fusion owes its callers, and what each is for.
#include <gtest/gtest.h>

#include "memory/recall/fusion.h"

namespace varve {
namespace {

class EveryFusion : public testing::TestWithParam<std::string> {};

TEST_P(EveryFusion, WhatTwoListsFindBeatsWhatOneFinds) {
  auto made = fusions().make(GetParam());
  ASSERT_TRUE(made.ok());
  const CubeId both = CubeId::make(1), first = CubeId::make(2), second = CubeId::make(3),
               last = CubeId::make(4);
  const std::vector<Hit> words{{first, 9}, {both, 8}, {last, 1}},
      vectors{{second, 0.9f}, {both, 0.8f}, {last, 0.1f}};
  const std::vector<RankedList> lists{{1, words}, {1, vectors}};
  const auto hits = fuse(**made, lists);
  ASSERT_EQ(hits.size(), 4u);
  EXPECT_EQ(hits.front().id, both);
  EXPECT_LE(hits.front().score, 2);
  const auto one = fuse(**made, std::span(lists).subspan(0, 1));
  for (size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i].id, words[i].id);  // a single list keeps its order
  EXPECT_TRUE(fuse(**made, {}).empty());
  EXPECT_TRUE(fuse(**made, std::vector<RankedList>{{1, {}}}).empty());
}

INSTANTIATE_TEST_SUITE_P(All, EveryFusion, testing::ValuesIn(fusions().names()),
                         [](const auto& one) { return one.param; });

TEST(Rrf, CountsPlacesOnly) {
  auto made = fusions().make("rrf:k=1");
  ASSERT_TRUE(made.ok());
  const std::vector<Hit> list{{CubeId::make(1), 1000}, {CubeId::make(2), 0.001f}};
  EXPECT_DOUBLE_EQ((*made)->worth(list, 0), 1);
  EXPECT_DOUBLE_EQ((*made)->worth(list, 1), 2.0 / 3);
}

}  // namespace
}  // namespace varve
