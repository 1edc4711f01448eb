// Packed caches beside plain ones. A new pack is in this test the moment it is in all.def.
#include "run/kv/desk_test.h"

namespace varve {
namespace {

class PackedBy : public testing::TestWithParam<std::string> {};

TEST_P(PackedBy, NeverTakesMoreThanWasReservedAndKeepsTheNewestExact) {
  Desk desk("pack=" + GetParam()), plain("pack=f16");
  const int64_t promised = kv_bytes_for(kShape, desk.recipe, 2000);
  const int64_t before = desk.ledger.used();
  auto kv = desk.cache(), exact = plain.cache();
  ASSERT_TRUE(kv->reserve(2000).ok());
  ASSERT_TRUE(exact->reserve(2000).ok());
  const int64_t booked = desk.ledger.used() - before;
  EXPECT_LE(booked, promised);
  desk.grow(*kv, 1100, 100), plain.grow(*exact, 1100, 100);
  desk.grow(*kv, 60, 1), plain.grow(*exact, 60, 1);
  desk.grow(*kv, 840, 840), plain.grow(*exact, 840, 840);  // more at once than stay unpacked
  EXPECT_EQ(desk.ledger.used() - before, booked) << "append took more";
  const auto pages = kv->lanes(1)[0], others = exact->lanes(1)[0];
  ASSERT_EQ(pages.size(), others.size());
  EXPECT_NE(pages[0].pack, nullptr);
  EXPECT_EQ(pages.back().pack, nullptr);
  EXPECT_TRUE(std::equal(pages.back().keys.begin(), pages.back().keys.end(), others.back().keys.begin()));
  for (size_t page = 0; page < pages.size(); ++page)
    EXPECT_EQ(pages[page].positions.front(), others[page].positions.front());
  const auto query = normal(kQuery, 5);
  EXPECT_LT(relative(desk.attend(*kv, query), plain.attend(*exact, query)), 0.6);
}

TEST_P(PackedBy, IsCutAndForkedAndGrowsOn) {
  Desk desk("pack=" + GetParam());
  auto kv = desk.cache();
  ASSERT_TRUE(kv->reserve(700).ok());
  desk.grow(*kv, 500, 50);
  auto snapshot = kv->snapshot(300);
  ASSERT_TRUE(snapshot.ok());
  auto fork = desk.cache(*snapshot), twin = desk.cache(*snapshot);
  for (KvCache* one : {fork.get(), twin.get()}) {
    ASSERT_TRUE(one->truncate(290).ok());
    ASSERT_TRUE(one->reserve(200).ok());
    desk.grow(*one, 150, 30, 7);
  }
  const auto query = normal(kQuery, 5);
  EXPECT_EQ(desk.attend(*fork, query), desk.attend(*twin, query));
  const auto as_before = desk.attend(*kv, query);
  fork.reset();
  ASSERT_TRUE(kv->truncate(100).ok());
  ASSERT_TRUE(kv->reserve(400).ok());
  desk.grow(*kv, 400, 50);
  EXPECT_LT(relative(desk.attend(*kv, query), as_before), 0.3) << "a page that was cut is read as rows again";
  const auto pages = twin->pages();
  twin->set_pages({});
  twin->set_pages(pages);
  desk.attend(*twin, query);
}

TEST_P(PackedBy, ComesBackFromTheLedgerWhole) {
  Desk desk("pack=" + GetParam());
  const int64_t before = desk.ledger.used();
  {
    auto kv = desk.cache();
    ASSERT_TRUE(kv->reserve(500).ok());
    desk.grow(*kv, 500, 64);
  }
  EXPECT_EQ(desk.ledger.used(), before);
  Desk small("pack=" + GetParam(), 1, (4 << 20) + 20000);
  auto kv = small.cache();
  EXPECT_EQ(kv->reserve(5000).code(), Code::over_budget);
  EXPECT_EQ(small.ledger.used(Tag::kv), 0);
}

INSTANTIATE_TEST_SUITE_P(All, PackedBy, testing::ValuesIn(page_packs().names()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace varve
