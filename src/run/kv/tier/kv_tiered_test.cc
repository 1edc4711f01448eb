// Pages on the disk that come back when a query chooses them: the same bits as in RAM, few bytes, and few
// readings.
#include "core/io/fault_env.h"
#include "run/kv/desk_test.h"
#include "run/kv/kv_swap.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

struct OnDisk : Desk {
  explicit OnDisk(const std::string& text, int64_t limit = 64 << 20) : Desk(text, 2, limit) {
    auto swap = KvSwap::open(env, folder.path() + "/paused", 256 << 20);
    CHECK(swap.ok(), "a place on the disk");
    kv_pool->disk = std::move(*swap);
  }
  // As the engine does: never past the end of a page, and asked whenever one is full.
  void grow_and_fit(KvCache& kv, int32_t count) {
    for (int32_t done = 0; done < count; done += kPageTokens) {
      grow(kv, std::min(kPageTokens, count - done), kPageTokens);
      // A prompt's rows are read by its queries before the pages go.
      const int32_t rows = std::min(kPageTokens, count - done);
      for (int32_t layer = 0; layer < kShape.layers; ++layer)
        attend(kv, normal(size_t(kQuery * rows), uint32_t(done + layer)), layer);
      if (kv.tokens() % kPageTokens != 0) continue;
      ASSERT_TRUE(kv.fit().ok());
    }
  }
  FaultPlan plan;
  FaultEnv env{posix_env(), plan, true};
  TempFolder folder{TempFolder::in_ram()};
};

std::vector<std::string> that_remember() {
  std::vector<std::string> names;
  for (const std::string& name : kv_selectors().names())
    if (parse_kv_recipe("ram_tokens=64 select=" + name).ok()) names.push_back(name);
  return names;
}

class Returns : public testing::TestWithParam<std::string> {};

TEST_P(Returns, TheSameBitsAsInRam) {
  for (const char* prompts : {"0", "1"}) {
    const std::string select = "select=" + GetParam() + ":pages=2,window=1,sinks=1,prompts=" + prompts;
    OnDisk in_ram(select), on_disk(select + " ram_tokens=128");
    auto a = in_ram.cache(), b = on_disk.cache();
    ASSERT_TRUE(a->reserve(1300).ok() && b->reserve(1300).ok());
    in_ram.grow_and_fit(*a, 1000), on_disk.grow_and_fit(*b, 1000);
    ASSERT_GT(b->counts().on_disk, 4 * 10);
    for (uint32_t seed = 0; seed < 8; ++seed) {
      const auto query = normal(kQuery, seed);
      for (int32_t layer = 0; layer < kShape.layers; ++layer)
        EXPECT_EQ(in_ram.attend(*a, query, layer), on_disk.attend(*b, query, layer)) << prompts << seed;
      in_ram.grow(*a, 20, 20), on_disk.grow(*b, 20, 20);
      ASSERT_TRUE(b->fit().ok());
    }
    ASSERT_TRUE(a->truncate(a->tokens() - 30).ok() && b->truncate(b->tokens() - 30).ok());
    in_ram.grow(*a, 40, 20, 9), on_disk.grow(*b, 40, 20, 9);
    EXPECT_EQ(in_ram.attend(*a, normal(kQuery, 77)), on_disk.attend(*b, normal(kQuery, 77)));
    EXPECT_EQ(a->counts().read, b->counts().read);
    EXPECT_GT(b->counts().fetched, 0);
  }
}

// What is reserved is what recipe.cc says, and holds whatever is asked: nothing more is booked.
TEST_P(Returns, InTheBytesThatWereReserved) {
  OnDisk desk("select=" + GetParam() + ":pages=2,window=1,sinks=1,prompts=1 ram_tokens=128");
  auto kv = desk.cache();
  ASSERT_TRUE(kv->reserve(2000).ok());
  const int64_t most = kv_bytes_for(kShape, desk.recipe, 2000);
  desk.grow_and_fit(*kv, 2000);
  for (uint32_t seed = 0; seed < 20; ++seed) desk.attend(*kv, normal(kQuery, seed), int32_t(seed % 2));
  EXPECT_LE(kv->bytes(), most);
  EXPECT_LT(kv_bytes_for(kShape, desk.recipe, 20000), kv_bytes_for(kShape, KvRecipe{}, 20000) / 2);
}

TEST_P(Returns, EverythingWhereEverythingIsChosen) {
  OnDisk all(""), some("select=" + GetParam() + ":pages=100,window=100 ram_tokens=64");
  auto a = all.cache(), b = some.cache();
  ASSERT_TRUE(a->reserve(700).ok() && b->reserve(700).ok());
  all.grow_and_fit(*a, 700), some.grow_and_fit(*b, 700);
  const auto query = normal(kQuery, 3);
  EXPECT_EQ(all.attend(*a, query), some.attend(*b, query));
}

INSTANTIATE_TEST_SUITE_P(All, Returns, testing::ValuesIn(that_remember()),
                         [](const auto& one) { return one.param; });

TEST(Tiered, WhatComesBackStaysForTheNextQueryLikeIt) {
  OnDisk desk("select=box:pages=2,window=1,sinks=1,prompts=1 ram_tokens=64");
  auto kv = desk.cache();
  ASSERT_TRUE(kv->reserve(1500).ok());
  desk.grow_and_fit(*kv, 1500);
  desk.attend(*kv, normal(kQuery, 1));
  const int64_t once = kv->counts().fetched;
  const auto query = normal(kQuery, 1);
  desk.attend(*kv, query);
  EXPECT_EQ(kv->counts().fetched, once) << "read again";
  for (uint32_t seed = 2; seed < 30; ++seed) desk.attend(*kv, normal(kQuery, seed));
  desk.attend(*kv, query);
  EXPECT_GT(kv->counts().fetched, once);
}

TEST(Tiered, APageThatTheDiskDoesNotReturnIsAnError) {
  OnDisk desk("select=box:pages=2,window=1,sinks=1,prompts=1 ram_tokens=64");
  auto kv = desk.cache();
  ASSERT_TRUE(kv->reserve(1500).ok());
  desk.grow_and_fit(*kv, 1500);
  const int64_t mark = desk.scratch.mark();
  const Rows q = desk.scratch.take(1, kQuery);
  AttendSpec how = kHow;
  how.codec = &kv->codec();
  int failed = 0;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    desk.ops.load(normal(kQuery, seed), q);
    desk.plan.fail_at(0, Fault::io_error);
    auto read = kv->reads(desk.ops, 1, q, how);
    desk.plan.heal();
    if (read.ok()) continue;
    ++failed;
    EXPECT_EQ(read.code(), Code::io);
    EXPECT_TRUE(kv->reads(desk.ops, 1, q, how).ok()) << "the next query is answered";
  }
  EXPECT_GT(failed, 0);
  desk.scratch.release(mark);
}

// Whatever happens between two layers, while the next is read on another thread (cmake --preset tsan).
TEST(Tiered, WhatIsReadAheadMeetsNothingThatChanges) {
  OnDisk in_ram(""), on_disk("ram_tokens=64");
  auto a = in_ram.cache(), b = on_disk.cache();
  ASSERT_TRUE(a->reserve(2000).ok() && b->reserve(2000).ok());
  const auto same = [&](uint32_t seed, int32_t layer) {
    return in_ram.attend(*a, normal(kQuery, seed), layer) == on_disk.attend(*b, normal(kQuery, seed), layer);
  };
  for (uint32_t round = 0; round < 12; ++round) {
    in_ram.grow_and_fit(*a, kPageTokens), on_disk.grow_and_fit(*b, kPageTokens);
    auto other = on_disk.cache();
    ASSERT_TRUE(other->reserve(300).ok());
    on_disk.grow_and_fit(*other, 200);  // its older pages go to the same file
    ASSERT_GT(other->counts().on_disk, 0);
    const auto pages = b->pages();
    b->set_pages(pages);  // as after a pause: nothing was read ahead
    ASSERT_TRUE(b->reserve(200).ok());
    EXPECT_TRUE(same(round, 0)) << round;  // from here on layer 1 is read
    in_ram.grow(*a, kPageTokens, kPageTokens), on_disk.grow(*b, kPageTokens, kPageTokens);
    ASSERT_TRUE(a->fit().ok() && b->fit().ok());
    if (round % 4 == 0) other.reset();  // its own reading is under way, too
    if (round % 4 == 1) {
      ASSERT_TRUE(a->truncate(a->tokens() - 10).ok() && b->truncate(b->tokens() - 10).ok());
      in_ram.grow(*a, 10, 10, 7), on_disk.grow(*b, 10, 10, 7);
    }
    if (round % 4 == 2) {
      EXPECT_GT(b->bytes(), 0);
      EXPECT_EQ(b->counts().fetched, 0);
      EXPECT_EQ(b->snapshot(10).code(), Code::unsupported);
    }
    EXPECT_TRUE(same(round + 100, 1)) << round;
  }
  EXPECT_TRUE(same(1, 0));
  b.reset();
  EXPECT_EQ(on_disk.kv_pool->disk->bytes(), 0);
}

TEST(Tiered, WhatLooksAtEveryKeyIsRefused) {
  const auto anchor = parse_kv_recipe("select=anchor ram_tokens=64");
  EXPECT_EQ(anchor.code(), Code::invalid);
}

}  // namespace
}  // namespace varve
