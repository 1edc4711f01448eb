// What every reranker owes its callers.
#include <gtest/gtest.h>

#include "memory/recall/rerank.h"

namespace varve {
namespace {

class EveryReranker : public testing::TestWithParam<std::string> {};

CubeHeader turn(int number, const std::string& session, const std::string& space = "s") {
  CubeHeader header;
  header.id = CubeId::make(number);
  header.space = space;
  header.session = session;
  header.turn = number;
  return header;
}

TEST_P(EveryReranker, KeepsEveryHitAndTheOrderDescending) {
  auto made = rerankers().make(GetParam());
  ASSERT_TRUE(made.ok());
  Places places;
  std::vector<Hit> hits;
  for (int i = 0; i < 10; ++i) {
    const CubeHeader header = turn(i, i < 5 ? "a" : "b");
    places.add(header);
    if (i % 3 == 0) hits.push_back({header.id, float(10 - i)});
  }
  const auto before = hits;
  (*made)->rerank(places, hits);
  for (const Hit& hit : before) {
    EXPECT_TRUE(std::any_of(hits.begin(), hits.end(), [&](const Hit& one) { return one.id == hit.id; }));
  }
  for (size_t i = 1; i < hits.size(); ++i) EXPECT_GE(hits[i - 1].score, hits[i].score);
}

INSTANTIATE_TEST_SUITE_P(All, EveryReranker, testing::ValuesIn(rerankers().names()),
                         [](const auto& one) { return one.param; });

TEST(Neighbours, ATurnBetweenTwoFoundOnesIsFoundAndSessionsDoNotMix) {
  auto made = rerankers().make("neighbours:reach=1,share=0.5");
  ASSERT_TRUE(made.ok());
  Places places;
  const CubeHeader one = turn(1, "a"), two = turn(2, "a"), three = turn(3, "a"), other = turn(2, "b"),
                   foreign = turn(2, "a", "t");
  for (const CubeHeader& header : {one, two, three, other, foreign}) places.add(header);
  std::vector<Hit> hits{{one.id, 1}, {three.id, 1}};
  (*made)->rerank(places, hits);
  ASSERT_EQ(hits.size(), 3u);
  EXPECT_FLOAT_EQ(hits[0].score, 1);
  EXPECT_TRUE(std::any_of(hits.begin(), hits.end(), [&](const Hit& hit) { return hit.id == two.id; }));
  places.remove(two.id);
  hits = {{one.id, 1}};
  (*made)->rerank(places, hits);
  EXPECT_EQ(hits.size(), 1u);
}

}  // namespace
}  // namespace varve
