#include "memory/cube/scrub/vfs.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "core/base/hash.h"
#include "core/base/rng.h"
#include "memory/cube/scrub/page.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr int kRows = 6000;

std::string mark(int number) {
  return "MARK-" + sha256(std::to_string(number)).hex().substr(0, 20 + size_t(number % 44));
}

// Rows come in any order, are changed and deleted: pages split, merge, and leave behind what they held.
void work(const std::string& path, const char* vfs) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
  const auto run = [&](const std::string& sql) {
    ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  };
  run("PRAGMA secure_delete = ON; PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = OFF;"
      "CREATE TABLE t(n INTEGER PRIMARY KEY, words TEXT, extra TEXT); CREATE INDEX i ON t(words); BEGIN");
  for (int n = 0; n < kRows; ++n) {
    const std::string extra(n % 50 == 0 ? 9000 : 0, 'x');
    run("INSERT INTO t VALUES(" + std::to_string(n) + ", '" + mark(n) + "', '" + extra + "')");
    const auto drawn = int(random_bits({.seed = 1, .step = uint64_t(n)}, 0) % uint32_t(n + 1));
    if (n % 3 == 0) run("DELETE FROM t WHERE n = " + std::to_string(drawn));
    if (n % 200 == 0) run("COMMIT; BEGIN");
  }
  run("DELETE FROM t WHERE n % 10 <> 0; COMMIT");
  sqlite3_close(db);
}

// How many marks a file holds that no row has.
int left_behind(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  int count = 0;
  for (int n = 0; n < kRows; ++n) count += n % 10 != 0 && bytes.find(mark(n)) != std::string::npos;
  return count;
}

std::string integrity(const std::string& path) {
  sqlite3* db = nullptr;
  sqlite3_open(path.c_str(), &db);
  std::string said;
  sqlite3_exec(
      db, "PRAGMA integrity_check",
      [](void* out, int, char** row, char**) {
        *static_cast<std::string*>(out) += row[0];
        return 0;
      },
      &said, nullptr);
  sqlite3_close(db);
  return said;
}

TEST(Scrub, WhatRowsLeftBehindIsInNoPage) {
  const TempFolder folder{TempFolder::in_ram()};
  work(folder / "plain.db", nullptr);
  work(folder / "scrubbed.db", scrub_vfs());
  EXPECT_GT(left_behind(folder / "plain.db"), 0)
      << "secure_delete alone is not enough, or this shows nothing";
  EXPECT_EQ(left_behind(folder / "scrubbed.db"), 0);
  EXPECT_EQ(integrity(folder / "scrubbed.db"), "ok");
}

TEST(Scrub, AFileThatWasWrittenWithoutItIsScrubbedInPlace) {
  const TempFolder folder{TempFolder::in_ram()};
  work(folder / "a.db", nullptr);
  ASSERT_TRUE(scrub_database(posix_env(), folder / "a.db").ok());
  EXPECT_EQ(left_behind(folder / "a.db"), 0);
  EXPECT_EQ(integrity(folder / "a.db"), "ok");
}

TEST(Scrub, AnyBytesAreLeftAsTheyAreOrScrubbedWithinThePage) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    std::vector<uint8_t> page(512u << seed % 4);
    for (size_t i = 0; i < page.size(); ++i) page[i] = uint8_t(random_bits({.seed = seed}, i));
    constexpr uint8_t kKinds[] = {2, 5, 10, 13, 0};
    page[0] = kKinds[seed % 5];
    page[3] = 0;
    page[4] = uint8_t(seed % 7);
    for (int i = 0; i < 7; ++i) page[size_t(8 + 2 * i)] &= 3;  // cells that may lie inside
    std::vector<uint8_t> after = page;
    const bool whole = scrub_page(after, false);
    if (!whole || seed % 5 == 4) {
      EXPECT_EQ(after, page);
    }
  }
}

}  // namespace
}  // namespace varve
