// A store that the first version of Varve wrote (testdata/schema_1.db, a copy of its files) is brought up to
// date in place.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "memory/cube/governance.h"
#include "memory/cube/store/sqlite.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

namespace fs = std::filesystem;
const Principal kAlice{"alice"}, kBob{"bob"};

CubeId id(std::string_view text) {
  return *CubeId::parse(text);
}

struct Migrate : testing::Test {
  void SetUp() override {
    const fs::path from = fs::path(VARVE_SOURCE) / "src/memory/cube/store/testdata";
    const std::string hex = sha256(std::string(20000, 'b')).hex();
    fs::create_directories(folder / ("cubes/blobs/" + hex.substr(0, 2)));
    fs::copy_file(from / "schema_1.db", folder / "cubes/cubes.db");
    fs::copy_file(from / "schema_1.blob", folder / ("cubes/blobs/" + hex.substr(0, 2) + "/" + hex.substr(2)));
    open();
  }
  void open() {
    store.reset();
    auto opened = CubeStore::open(posix_env(), folder / "cubes", ledger, clock);
    ASSERT_TRUE(opened.ok()) << std::move(opened).status().text();
    store = std::move(opened).value();
  }
  TempFolder folder{TempFolder::in_ram()};
  FixedClock clock;
  Ledger ledger{64 << 20};
  std::unique_ptr<CubeStore> store;
};

TEST_F(Migrate, EveryCubeIsAsItWas) {
  EXPECT_EQ(*store->check(), std::vector<std::string>{});
  EXPECT_EQ(*store->payload(kAlice, id("018bcfe56be89eb915f3316be4b5fd70")), "I live in Berlin");
  const CubeId fact = id("018bcfe56fd052032e570501dfac1ed2"), paris = id("018bcfe577a0d184a99d134f415211e2");
  EXPECT_EQ(store->head(kAlice, fact)->life, Life::expired);
  EXPECT_EQ(store->head(kAlice, paris)->supersedes, std::vector<CubeId>{fact});
  EXPECT_EQ(store->history(kAlice, id("018bcfe57b889bb9d5cbc5c06336bc55"))->size(), 2u);
  EXPECT_EQ(store->payload(kAlice, id("018bcfe58358255c44c2d7f9d0d850fc"))->size(), 20000u);
  EXPECT_EQ(store->head(kAlice, id("018bcfe58740a4104992026cedd06892"))->life, Life::erased);
  EXPECT_EQ(store->list(kBob, {.space = "alice", .limit = 1000})->size(), 64u) << "the grant holds";
}

TEST_F(Migrate, ItsPastCanBeAskedForAndItsJournalIsChained) {
  const CubeId fact = id("018bcfe56fd052032e570501dfac1ed2");
  EXPECT_EQ(store->governance().as_of(kAlice, fact, 1'700'000'002'500)->life, Life::active);
  EXPECT_EQ(store->governance().as_of(kAlice, fact, 1'700'000'001'500).code(), Code::not_found);
  const auto entries = store->governance().audit(kAlice, {.space = "alice"});
  ASSERT_GT(entries->size(), 60u);
  for (const JournalEntry& entry : *entries) EXPECT_NE(entry.hash, Hash256());
  ASSERT_TRUE(store->erase(kAlice, fact, "").ok());
  open();
  EXPECT_EQ(*store->check(), std::vector<std::string>{});
}

}  // namespace
}  // namespace varve
