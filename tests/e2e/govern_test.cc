// Governing memory by commands: spaces, versions, the past, secrets, backups, receipts.
#include <gtest/gtest.h>

#include <fstream>

#include "core/format/json.h"
#include "tests/e2e/child.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

class Govern : public testing::Test {
 protected:
  Child::End run(std::vector<std::string> words) {
    words.insert(words.end(), {"--home", home});
    return run_child(VARVE_PROGRAM, words);
  }
  Json said(std::vector<std::string> words) {
    words.emplace_back("--json");
    const Child::End end = run(words);
    EXPECT_EQ(end.exit_code, 0) << end.err;
    auto parsed = parse_json(end.out);
    EXPECT_TRUE(parsed.ok()) << end.out;
    return parsed.ok() ? std::move(parsed).value() : Json();
  }
  std::string remember(std::vector<std::string> words) {
    words.insert(words.begin(), "remember");
    return said(words)["id"].as_string();
  }
  void expect(const Child::End& end, int exit_code, const std::string& clue) {
    EXPECT_EQ(end.exit_code, exit_code) << end.out << end.err;
    EXPECT_NE((end.out + end.err).find(clue), std::string::npos) << end.out << end.err;
  }
  TempFolder folder;
  const std::string home = folder / "home";
};

TEST_F(Govern, versions_are_compared_restored_and_never_lost_to_a_race) {
  const std::string id = remember({"I", "live", "in", "Berlin"});
  expect(run({"cube", "revise", id, "I live in Paris", "--base", "1"}), 0, "Version 2");
  const Child::End stale = run({"cube", "revise", id, "I live in Rome", "--base", "1"});
  expect(stale, 9, "Now, version 2: I live in Paris");
  expect(run({"cube", "diff", id}), 0, "I live in [-Berlin-]{+Paris+}");
  expect(run({"cube", "restore", id, "--version", "1"}), 0, "Version 3");
  expect(run({"cube", "show", id}), 0, "I live in Berlin");
  EXPECT_EQ(said({"cube", "list", "--as-of", "2020-01-01"}).size(), 0u);
  expect(run({"cube", "list", "--as-of", "2020-13-45"}), 2, "no date");
  expect(run({"cube", "show", id, "--as", "bob"}), 3, "there is no cube " + id);
}

TEST_F(Govern, spaces_are_shared_by_role_and_secrets_refused) {
  expect(run({"space", "create", "family"}), 0, "me:family");
  expect(run({"space", "grant", "me:family", "bob", "writer"}), 0, "bob is writer");
  remember({"Fondue on Sunday", "--as", "bob", "--space", "me:family"});
  expect(run({"space", "show", ":family"}), 0, "bob  writer");
  expect(run({"remember", "x", "--as", "eve", "--space", "me:family"}), 3, "no space me:family");
  expect(run({"space", "show", "family"}), 3, "one of your own is :family");
  expect(run({"space", "rules", ":family", "--secrets", "refuse"}), 0, "set");
  const std::string key = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
  const Child::End refused = run({"remember", key, "--as", "bob", "--space", "me:family"});
  expect(refused, 5, "api key at byte 0");
  EXPECT_EQ(refused.err.find(key), std::string::npos);
  expect(run({"space", "revoke", ":family", "bob"}), 0, "no right");
  expect(run({"cube", "list", "--as", "bob", "--space", "me:family"}), 0, "");
  EXPECT_EQ(said({"space", "list", "--as", "bob"}).size(), 1u);
}

TEST_F(Govern, what_is_forgotten_stays_forgotten_and_the_receipt_proves_it) {
  const std::string id = remember({"the", "canary", "sings"});
  expect(run({"backup", folder / "backup"}), 0, "Copied 1 file");
  expect(run({"forget", id, "--yes", "--receipt", folder / "receipt.json"}), 0, "the backup 'backup'");
  expect(run({"forget", "--verify", folder / "receipt.json"}), 0, "holds");
  expect(run({"fsck"}), 0, "Sound.");
  expect(run({"audit"}), 0, "erase");
  expect(run_child(VARVE_PROGRAM, {"restore", folder / "backup", "--home", folder / "old"}), 0, "Restored");
  expect(run_child(VARVE_PROGRAM, {"forget", "--verify", folder / "receipt.json", "--home", folder / "old"}),
         7, id + " is there");
  std::ofstream(folder / "backup/cubes.db", std::ios::binary | std::ios::app) << "x";
  expect(run_child(VARVE_PROGRAM, {"restore", folder / "backup", "--home", folder / "new"}), 7, "not whole");
}

}  // namespace
}  // namespace varve
