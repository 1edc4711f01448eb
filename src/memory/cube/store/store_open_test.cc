// What the store does with files that are not as it left them.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>
#include <mutex>
#include <thread>

#include "core/base/rng.h"
#include "memory/cube/cube_store.h"
#include "memory/cube/store/sqlite.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

const Principal kAlice{"alice"};

CubeDraft words(std::string text, std::string kind = "note") {
  CubeDraft draft;
  draft.header.kind = std::move(kind);
  draft.payload = std::move(text);
  return draft;
}

struct StoreOpen : testing::Test {
  Result<std::unique_ptr<CubeStore>> open() { return CubeStore::open(posix_env(), folder / "cubes", ledger); }
  Code opening() { return open().code(); }
  std::string database() const { return folder / "cubes/cubes.db"; }
  std::vector<std::byte> bytes_of(const std::string& path) {
    return std::move(read_file(posix_env(), path, 1 << 26)).value();
  }

  TempFolder folder{TempFolder::in_ram()};
  Ledger ledger{64 << 20};
};

TEST_F(StoreOpen, AForeignAndANewerDatabaseAreRefusedAndLeftAsTheyAre) {
  ASSERT_TRUE(posix_env().make_folder(folder / "cubes").ok());
  {
    auto other = sql::Database::open(database());
    ASSERT_TRUE((*other)->script("CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)").ok());
  }
  EXPECT_EQ(opening(), Code::corrupt);
  {
    auto other = sql::Database::open(database());
    EXPECT_EQ(*(*other)->number("SELECT x FROM theirs"), 1);
  }
  ASSERT_TRUE(posix_env().remove(database()).ok());
  ASSERT_EQ(opening(), Code::ok);
  {
    auto mine = sql::Database::open(database());
    ASSERT_TRUE((*mine)->script("PRAGMA user_version = 999").ok());
  }
  auto newer = open();
  EXPECT_EQ(newer.code(), Code::unsupported);
  EXPECT_NE(std::move(newer).status().message().find("newer"), std::string_view::npos);
}

TEST_F(StoreOpen, GarbageForADatabaseIsCorruptAndStays) {
  ASSERT_TRUE(posix_env().make_folder(folder / "cubes").ok());
  const std::string garbage(5000, 'g');
  ASSERT_TRUE(write_file(posix_env(), database(), std::as_bytes(std::span(garbage))).ok());
  EXPECT_EQ(opening(), Code::corrupt);
  EXPECT_EQ(bytes_of(database()).size(), garbage.size());
}

TEST_F(StoreOpen, OrphansOfACrashAreSwept) {
  CubeId kept;
  {
    auto store = open();
    kept = *(*store)->put(kAlice, words(std::string(50000, 'k')));
  }
  const std::string orphan = folder / "cubes/blobs/ab/" + std::string(62, 'c');
  ASSERT_TRUE(posix_env().make_folder(folder / "cubes/blobs/ab").ok());
  for (const std::string& path : {orphan, orphan + ".new-0"}) {
    ASSERT_TRUE(write_file(posix_env(), path, std::as_bytes(std::span(path))).ok());
  }
  auto store = open();
  EXPECT_FALSE(*posix_env().exists(orphan));
  EXPECT_FALSE(*posix_env().exists(orphan + ".new-0"));
  EXPECT_EQ((*store)->payload(kAlice, kept)->size(), 50000u);
}

// A bit that flips anywhere is noticed, or changes nothing; never does the store answer something else.
TEST_F(StoreOpen, ABitThatRotsIsNeverAnsweredAsTruth) {
  std::map<CubeId, std::string> truth;
  {
    auto store = open();
    for (int i = 0; i < 40; ++i) {
      std::string text(size_t(i == 7 ? 40000 : 20 + 40 * i), char('a' + i % 26));
      CubeDraft draft = words(text);
      draft.header.title = "title " + std::to_string(i);
      if (!truth.empty()) draft.header.from = {{truth.begin()->first, 1}};
      truth[*(*store)->put(kAlice, draft)] = std::move(text);
    }
  }
  const std::vector<std::byte> whole = bytes_of(database());
  int noticed = 0;
  for (uint64_t flip = 0; flip < 120; ++flip) {
    std::vector<std::byte> rotten = whole;
    const size_t bit = random_bits({.seed = 3, .step = flip}, 0) % (whole.size() * 8);
    rotten[bit / 8] ^= std::byte(1 << bit % 8);
    ASSERT_TRUE(write_file(posix_env(), database(), rotten).ok());
    auto store = open();
    if (!store.ok()) {
      EXPECT_TRUE(store.code() == Code::corrupt || store.code() == Code::unsupported ||
                  store.code() == Code::internal)
          << std::move(store).status().text();
      ++noticed;
      continue;
    }
    auto problems = (*store)->check();
    const bool sound = problems.ok() && problems->empty();
    noticed += !sound;
    for (const auto& [id, text] : truth) {
      auto header = (*store)->head(kAlice, id);
      auto payload = (*store)->payload(kAlice, id);
      if (payload.ok()) {
        EXPECT_EQ(*payload, text) << "bit " << bit;
      }
      if (header.ok()) {
        EXPECT_EQ(header->payload_hash, sha256(text)) << "bit " << bit;
      }
      EXPECT_TRUE(!sound || (header.ok() && payload.ok())) << "bit " << bit;
    }
  }
  EXPECT_GT(noticed, 30);
}

TEST_F(StoreOpen, ARottenBlobIsNamedAndCanBeErased) {
  CubeId id;
  {
    auto store = open();
    id = *(*store)->put(kAlice, words(std::string(50000, 'k')));
  }
  const std::string hex = sha256(std::string(50000, 'k')).hex();
  const std::string path = folder / ("cubes/blobs/" + hex.substr(0, 2) + "/" + hex.substr(2));
  const std::string other(50000, 'j');
  ASSERT_TRUE(write_file(posix_env(), path, std::as_bytes(std::span(other))).ok());
  auto store = open();
  auto payload = (*store)->payload(kAlice, id);
  EXPECT_EQ(payload.code(), Code::corrupt);
  EXPECT_NE(std::move(payload).status().message().find(id.text()), std::string_view::npos);
  EXPECT_EQ((*store)->check()->size(), 1u);
  EXPECT_TRUE((*store)->erase(kAlice, id, "").ok());
  EXPECT_EQ((*store)->check()->size(), 0u);
}

TEST_F(StoreOpen, SQLiteStaysWithinWhatIsBooked) {
  auto store = open();
  const int64_t booked = ledger.used(Tag::cubes);
  sqlite3_memory_highwater(1);
  std::vector<MemoryOp> ops(500);
  for (size_t i = 0; i < ops.size(); ++i) ops[i].draft = words(std::string(16000, char('a' + i % 26)));
  CubeId id;
  for (int i = 0; i < 3; ++i) id = (*(*store)->apply(kAlice, ops))[0];
  ASSERT_EQ((*store)->list(kAlice, {.limit = 10000})->size(), 1500u);
  ASSERT_TRUE((*store)->erase(kAlice, id, "").ok());
  EXPECT_GT(sqlite3_memory_highwater(0), 2 << 20) << "or nothing was measured";
  EXPECT_LT(sqlite3_memory_highwater(0), booked);
}

TEST_F(StoreOpen, WithoutRoomInTheBudgetItDoesNotOpen) {
  Ledger small{1 << 20};
  EXPECT_EQ(CubeStore::open(posix_env(), folder / "cubes", small).code(), Code::over_budget);
}

struct Counting : CubeObserver {
  std::mutex mutex;
  std::map<CubeId, int> seen;
  CubeId last;
  int out_of_order = 0;
  void changed(const CubeHeader& header, std::string_view) override {
    std::lock_guard lock(mutex);
    out_of_order += header.id < last;
    last = header.id;
    ++seen[header.id];
  }
  void erased(const CubeHeader&) override {}
};

TEST_F(StoreOpen, ManyThreadsMayUseItAndTheObserverHearsInOrder) {
  Counting counting;
  auto opened = open();
  CubeStore& store = **opened;
  ASSERT_TRUE(store.observe(&counting).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const Principal who{"p" + std::to_string(t)};
      for (int i = 0; i < 25; ++i) {
        auto id = store.put(who, words("text"));
        ASSERT_TRUE(id.ok());
        EXPECT_TRUE(store.payload(who, *id).ok());
        EXPECT_EQ(store.list(who, {})->size(), size_t(i + 1));
        std::lock_guard lock(counting.mutex);  // an observer's lock may be held while the store is read
        EXPECT_TRUE(store.head(who, *id).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(store.observe(nullptr).ok());
  EXPECT_EQ(counting.seen.size(), 100u);
  EXPECT_EQ(counting.out_of_order, 0);
}

}  // namespace
}  // namespace varve
