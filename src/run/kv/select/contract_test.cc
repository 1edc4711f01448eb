// What every selector owes a query. A new selector is in this test the moment it is in all.def.
#include "run/kv/desk_test.h"

namespace varve {
namespace {

// Queries of so many newest tokens: whoever selects for prompts alone is asked by those.
std::vector<float> queries_for(const std::string& selector, uint32_t seed) {
  return normal(size_t(kQuery) * (selector == "anchor" ? 16 : 1), seed);
}

class SelectedBy : public testing::TestWithParam<std::string> {};

TEST_P(SelectedBy, EverythingSelectedIsBitEqualToEverythingRead) {
  for (const char* pack : {"f16", "q8_0", "kivi"}) {
    Desk all(std::string("pack=") + pack);
    Desk some(std::string("pack=") + pack + " select=" + GetParam() + ":pages=100,window=100", 2);
    auto a = all.cache(), b = some.cache();
    ASSERT_TRUE(a->reserve(1000).ok() && b->reserve(1000).ok());
    all.grow(*a, 1000, 128), some.grow(*b, 1000, 128);
    for (uint32_t seed = 0; seed < 5; ++seed) {
      const auto query = queries_for(GetParam(), seed);
      EXPECT_EQ(all.attend(*a, query), some.attend(*b, query)) << pack;
    }
  }
}

TEST_P(SelectedBy, ReadsFewPagesTheSameOnesWhoeverWorksAndAfterBeingCut) {
  const std::string recipe = "select=" + GetParam() + ":pages=2,window=1,sinks=1";
  Desk one(recipe), two(recipe, 2);
  auto a = one.cache(), b = two.cache();
  ASSERT_TRUE(a->reserve(2000).ok() && b->reserve(2000).ok());
  one.grow(*a, 1500, 128);
  two.grow(*b, 1600, 128, 9);  // others, which go again
  two.attend(*b, queries_for(GetParam(), 1));
  ASSERT_TRUE(b->truncate(0).ok());
  ASSERT_TRUE(b->reserve(2000).ok());
  two.grow(*b, 1500, 128);
  Desk full("");
  auto all = full.cache();
  ASSERT_TRUE(all->reserve(1500).ok());
  full.grow(*all, 1500, 128);
  for (uint32_t seed = 0; seed < 5; ++seed) {
    const auto query = queries_for(GetParam(), seed);
    EXPECT_EQ(one.attend(*a, query), two.attend(*b, query));
    EXPECT_NE(one.attend(*a, query), full.attend(*all, query));
  }
}

// A page of which one key answers the query alone must be among the few that are read.
TEST_P(SelectedBy, FindsThePageThatAQueryIsAbout) {
  if (GetParam() == "window") GTEST_SKIP() << "looks at nothing";
  Desk desk("select=" + GetParam() + ":pages=3,window=1,sinks=1"), full("");
  auto kv = desk.cache(), all = full.cache();
  ASSERT_TRUE(kv->reserve(2000).ok() && all->reserve(2000).ok());
  for (auto [on, cache] : {std::pair{&desk, kv.get()}, std::pair{&full, all.get()}})
    on->grow(*cache, 2000, 128);
  // The query of all four heads is the key of one token.
  const auto row = normal(2 * kWidth, 1000 * kPlanted + 1);
  std::vector<float> query;
  for (size_t i = 0; i < queries_for(GetParam(), 1).size(); ++i)
    query.push_back(2 * row[i % size_t(kQuery) / 64 * 32 + i % 32]);
  EXPECT_LT(relative(desk.attend(*kv, query), full.attend(*all, query)), 0.02);
}

// Rows of a prompt that are computed together read what they choose together; of their own tokens all.
TEST_P(SelectedBy, SelectsForPromptsWhereItIsAsked) {
  Desk plain("select=" + GetParam() + ":pages=2"),
      asked("select=" + GetParam() + ":pages=2,window=2,prompts=1"), full("");
  auto a = plain.cache(), b = asked.cache(), all = full.cache();
  const auto query = normal(size_t(kQuery) * 100, 5);
  for (auto [on, cache] :
       {std::pair{&plain, a.get()}, std::pair{&asked, b.get()}, std::pair{&full, all.get()}}) {
    ASSERT_TRUE(cache->reserve(1500).ok());
    on->grow(*cache, 1500, 128);
  }
  if (GetParam() != "anchor") {
    EXPECT_EQ(plain.attend(*a, query), full.attend(*all, query));
  }
  const auto got = asked.attend(*b, query), exact = full.attend(*all, query);
  EXPECT_NE(got, exact);
  EXPECT_LT(relative(got, exact), 1.5);  // few of tokens that are all alike, not nonsense
  Desk short_one("select=" + GetParam() + ":pages=2,window=2,prompts=1"), short_full("");
  auto c = short_one.cache(), short_all = short_full.cache();
  ASSERT_TRUE(c->reserve(300).ok() && short_all->reserve(300).ok());
  short_one.grow(*c, 300, 128), short_full.grow(*short_all, 300, 128);
  EXPECT_EQ(short_one.attend(*c, query), short_full.attend(*short_all, query));
}

INSTANTIATE_TEST_SUITE_P(All, SelectedBy, testing::ValuesIn(kv_selectors().names()),
                         [](const auto& one) { return one.param; });

TEST(Select, MeansStandForWhatIsNotRead) {
  Desk few("select=centroid:pages=2,window=1"), blind("select=centroid:pages=2,window=1,estimate=0"),
      full("");
  auto a = few.cache(), b = blind.cache(), all = full.cache();
  for (auto [on, cache] :
       {std::pair{&few, a.get()}, std::pair{&blind, b.get()}, std::pair{&full, all.get()}}) {
    ASSERT_TRUE(cache->reserve(3000).ok());
    on->grow(*cache, 3000, 128);
  }
  const auto query = normal(kQuery, 3);
  const auto exact = full.attend(*all, query);
  EXPECT_LT(relative(few.attend(*a, query), exact), 0.7 * relative(blind.attend(*b, query), exact));
}

TEST(Select, WhereTheBudgetHasNoRoomForItEverythingIsRead) {
  Desk full("");
  auto all = full.cache();
  ASSERT_TRUE(all->reserve(1500).ok());
  full.grow(*all, 1500, 128);
  Desk tight("select=box:pages=2", 1, full.ledger.used() + 1000);
  auto kv = tight.cache();
  ASSERT_TRUE(kv->reserve(1500).ok());
  tight.grow(*kv, 1500, 128);
  const auto query = normal(kQuery, 3);
  EXPECT_EQ(tight.attend(*kv, query), full.attend(*all, query));
}

}  // namespace
}  // namespace varve
