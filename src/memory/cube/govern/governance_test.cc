#include "memory/cube/governance.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "memory/cube/store/sqlite.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

const Principal kAlice{"alice"}, kBob{"bob"};
constexpr TimeMs kDay = 86'400'000;

CubeDraft words(std::string text, std::string kind = "note", std::string space = "") {
  CubeDraft draft;
  draft.header.kind = std::move(kind);
  draft.header.space = std::move(space);
  draft.payload = std::move(text);
  return draft;
}

struct GovernanceTest : testing::Test {
  void SetUp() override {
    clock.time = 1'700'000'000'000;
    open();
  }
  void open() {
    store.reset();
    store = std::move(CubeStore::open(posix_env(), folder / "cubes", ledger, clock)).value();
  }
  void TearDown() override { EXPECT_EQ(*store->check(), std::vector<std::string>{}); }
  CubeId put(const Principal& who, CubeDraft draft) {
    auto id = store->put(who, std::move(draft));
    EXPECT_TRUE(id.ok()) << std::move(id).status().text();
    return id.ok() ? *id : CubeId{};
  }
  CubeId fact(std::string text, TimeMs event, std::vector<CubeId> against = {}, Trust trust = Trust::model) {
    CubeDraft draft = words(std::move(text), "fact");
    draft.header.event = event;
    draft.header.contradicts = std::move(against);
    draft.header.trust = trust;
    return put(kAlice, draft);
  }
  Governance& govern() { return store->governance(); }
  CubeHeader head(CubeId id) { return *store->head(kAlice, id); }
  size_t count(const Principal& who, CubeFilter filter = {}) { return store->list(who, filter)->size(); }

  TempFolder folder{TempFolder::in_ram()};
  FixedClock clock;
  Ledger ledger{64 << 20};
  std::unique_ptr<CubeStore> store;
};

TEST_F(GovernanceTest, AUserHasSpacesOfItsNameAndSharesThemByRole) {
  const CubeId id = put(kAlice, words("fondue on Sunday", "note", "alice:family"));
  EXPECT_EQ(store->payload(kBob, id).code(), Code::not_found);
  EXPECT_EQ(store->put(kBob, words("mine", "note", "alice:family")).code(), Code::not_found);
  EXPECT_EQ(store->put({"alic"}, words("mine", "note", "alice:family")).code(), Code::not_found);
  ASSERT_TRUE(store->grant(kAlice, "alice:family", "bob", uint8_t(Right::admin)).ok());
  put(kBob, words("and wine", "note", "alice:family"));
  ASSERT_TRUE(store->grant(kBob, "alice:family", "carol", uint8_t(Right::read)).ok());
  EXPECT_EQ(count({"carol"}), 2u);
  EXPECT_EQ(store->put({"carol"}, words("x", "note", "alice:family")).code(), Code::denied);
  ASSERT_TRUE(store->grant(kBob, "alice:family", "alice", 0).ok()) << "it changes nothing for the owner";
  EXPECT_EQ(count(kAlice, {.space = "alice:family"}), 2u);
  EXPECT_EQ(govern().grants(kAlice, "alice:family")->size(), 2u);
  EXPECT_EQ(govern().grants({"carol"}, "alice:family")->size(), 1u);
  EXPECT_EQ(govern().grants({"dave"}, "alice:family").code(), Code::not_found);
  open();
  const auto spaces = *govern().spaces(kAlice);
  ASSERT_EQ(spaces.size(), 2u);
  EXPECT_EQ(spaces[1].name, "alice:family");
  EXPECT_EQ(spaces[1].cubes, 2);
  EXPECT_EQ(spaces[1].active_bytes, 24);
}

TEST_F(GovernanceTest, AnAgentHasWhatItWasLentAndSpeaksAsAModel) {
  const Principal bot{"alice", "bot"};
  const CubeId id = put(kAlice, words("secret"));
  EXPECT_EQ(store->payload(bot, id).code(), Code::not_found);
  EXPECT_EQ(govern().lend(bot, "bot", 7).code(), Code::denied);
  ASSERT_TRUE(govern().lend(kAlice, "bot", uint8_t(Right::read)).ok());
  EXPECT_EQ(*store->payload(bot, id), "secret");
  EXPECT_EQ(store->put(bot, words("x")).code(), Code::denied);
  ASSERT_TRUE(govern().lend(kAlice, "bot", uint8_t(Right::write)).ok());
  const CubeId made = put(bot, words("noted"));
  EXPECT_EQ(head(made).owner, "alice");
  EXPECT_EQ(head(made).trust, Trust::model);
  EXPECT_EQ(store->grant(bot, "alice", "mallory", 1).code(), Code::denied);
  EXPECT_EQ(store->journal(kAlice, made)->back().agent, "bot");
  EXPECT_EQ(store->payload({"alice", "spy"}, id).code(), Code::not_found);
  ASSERT_TRUE(govern().lend(kAlice, "bot", 0).ok());
  EXPECT_EQ(count(bot), 0u);
}

TEST_F(GovernanceTest, WhoIsConfinedToASessionSeesNothingElse) {
  CubeDraft said = words("said here", "turn");
  said.header.session = "s1";
  const CubeId here = put(kAlice, said), elsewhere = put(kAlice, words("elsewhere"));
  const Principal confined{"alice", "", "s1"};
  EXPECT_EQ(*store->payload(confined, here), "said here");
  EXPECT_EQ(store->payload(confined, elsewhere).code(), Code::not_found);
  EXPECT_EQ(store->erase(confined, elsewhere, "").code(), Code::not_found);
  EXPECT_EQ(count(confined), 1u);
  EXPECT_EQ(count(confined, {.session = "s2"}), 0u);
  EXPECT_EQ(head(put(confined, words("new"))).session, "s1");
  said.header.session = "s2";
  EXPECT_EQ(store->put(confined, said).code(), Code::denied);
  EXPECT_EQ(store->grant(confined, "alice", "bob", 1).code(), Code::denied);
}

TEST_F(GovernanceTest, AnOldVersionComesBackAsANewOne) {
  const CubeId id = put(kAlice, words("first"));
  ASSERT_TRUE(store->revise(kAlice, id, 1, words("second"), "").ok());
  EXPECT_EQ(govern().restore(kAlice, id, 1, 1, "").code(), Code::conflict);
  EXPECT_EQ(*govern().restore(kAlice, id, 1, 2, ""), 3u);
  EXPECT_EQ(*store->payload(kAlice, id), "first");
  EXPECT_EQ(*store->payload(kAlice, id, 2), "second");
  EXPECT_EQ(head(id).why, "version 1 again");
  EXPECT_EQ(govern().restore(kAlice, id, 9, 0, "").code(), Code::invalid);
  EXPECT_EQ(govern().restore(kBob, id, 1, 0, "").code(), Code::not_found);
  EXPECT_EQ(govern().restore(kAlice, put(kAlice, words("said", "turn")), 1, 0, "").code(), Code::denied);
}

TEST_F(GovernanceTest, ThePastIsAsItWasKnownAndAsItHeld) {
  const TimeMs start = clock.time;
  const CubeId berlin = fact("lives in Berlin", start - 1000 * kDay);
  clock.time = start + 10 * kDay;
  CubeDraft better = words("lives in East Berlin", "");
  better.header.event = start - 1000 * kDay;
  ASSERT_TRUE(store->revise(kAlice, berlin, 0, better, "").ok());
  clock.time = start + 20 * kDay;
  const CubeId paris = fact("lives in Paris", start - 100 * kDay, {berlin});
  EXPECT_EQ(head(berlin).life, Life::expired);
  EXPECT_EQ(head(berlin).valid_to, start - 100 * kDay);

  const auto known = [&](TimeMs at) { return *store->list(kAlice, {.recorded_at = at}); };
  EXPECT_TRUE(known(start - 1).empty());
  ASSERT_EQ(known(start + kDay).size(), 1u);
  EXPECT_EQ(known(start + kDay)[0].version, 1u);
  EXPECT_EQ(known(start + 11 * kDay)[0].version, 2u);
  EXPECT_EQ(known(start + 11 * kDay)[0].life, Life::active);
  ASSERT_EQ(known(start + 21 * kDay).size(), 1u);
  EXPECT_EQ(known(start + 21 * kDay)[0].id, paris);

  const auto held = [&](TimeMs at, std::optional<TimeMs> recorded = {}) {
    std::vector<CubeId> ids;
    const auto all = *store->list(kAlice, {.valid_at = at, .recorded_at = recorded});
    for (const CubeHeader& h : all) ids.push_back(h.id);
    return ids;
  };
  EXPECT_EQ(held(start - 200 * kDay), std::vector<CubeId>{berlin});
  EXPECT_EQ(held(start), std::vector<CubeId>{paris});
  EXPECT_EQ(held(start, start + kDay), std::vector<CubeId>{berlin}) << "as was believed then";
  EXPECT_EQ(govern().as_of(kAlice, berlin, start + kDay)->life, Life::active);
  ASSERT_TRUE(store->erase(kAlice, berlin, "").ok());
  EXPECT_EQ(govern().as_of(kAlice, berlin, start + kDay)->life, Life::erased);
}

TEST_F(GovernanceTest, OfTwoThatContradictTheLaterHoldsWhicheverIsToldFirst) {
  const TimeMs now = clock.time;
  const CubeId paris = fact("lives in Paris", now - 10 * kDay);
  const CubeId berlin = fact("lives in Berlin", now - 100 * kDay, {paris});  // an old letter, read late
  EXPECT_EQ(head(paris).life, Life::active);
  EXPECT_EQ(head(berlin).life, Life::expired);
  EXPECT_EQ(head(berlin).valid_to, now - 10 * kDay);
  auto open = *govern().conflicts(kAlice, "");
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].newer, paris);
  EXPECT_TRUE(open[0].closed);
  EXPECT_TRUE(govern().conflicts(kBob, "")->empty());
  ASSERT_TRUE(govern().settle(kAlice, paris, berlin, Verdict::both, "two homes").ok());
  EXPECT_EQ(head(berlin).life, Life::active);
  EXPECT_TRUE(govern().conflicts(kAlice, "")->empty());
  EXPECT_EQ(govern().settle(kAlice, paris, berlin, Verdict::both, "").code(), Code::not_found);

  const CubeId rome = fact("lives in Rome", now, {paris});
  ASSERT_TRUE(govern().settle(kAlice, rome, paris, Verdict::older, "a joke").ok());
  EXPECT_EQ(head(rome).life, Life::expired);
  EXPECT_EQ(head(paris).life, Life::active);
}

TEST_F(GovernanceTest, WhatIsBelievedLessClosesNothing) {
  const CubeId mine = fact("the door code is 12", clock.time - kDay, {}, Trust::user);
  const CubeId page = fact("the door code is 99", clock.time, {mine}, Trust::outside);
  EXPECT_EQ(head(mine).life, Life::active);
  EXPECT_EQ(head(page).life, Life::active);
  ASSERT_EQ(govern().conflicts(kAlice, "")->size(), 1u);
  EXPECT_FALSE((*govern().conflicts(kAlice, ""))[0].closed);
  CubeDraft instead = words("and 98", "fact");
  instead.header.trust = Trust::outside;
  instead.header.supersedes = {mine};
  put(kAlice, instead);
  EXPECT_EQ(head(mine).life, Life::active);
  ASSERT_TRUE(govern().settle(kAlice, page, mine, Verdict::newer, "checked").ok());
  const auto settled = *govern().conflicts(kAlice, "", true);
  EXPECT_EQ(settled.size(), 2u);
  EXPECT_FALSE(settled[0].open);
  EXPECT_EQ(head(mine).life, Life::expired);
}

TEST_F(GovernanceTest, TrustIsNeverRaisedByANewVersion) {
  CubeDraft page = words("from a page");
  page.header.trust = Trust::outside;
  const CubeId id = put(kAlice, page);
  CubeDraft better = words("rewritten");
  better.header.trust = Trust::user;
  ASSERT_TRUE(store->revise(kAlice, id, 0, better, "").ok());
  EXPECT_EQ(head(id).trust, Trust::outside);
  ASSERT_TRUE(govern().restore(kAlice, id, 1, 0, "").ok());
  EXPECT_EQ(head(id).trust, Trust::outside);
}

TEST_F(GovernanceTest, SecretsAreRedactedOrRefusedBeforeAnythingIsStored) {
  const std::string key = "sk-abcdEFGH0123456789ijklMNOP", text = "my key is " + key + ".";
  SpaceRules rules{.secrets = Screen::redact};
  put(kAlice, words(text));  // the default keeps words as they were said
  ASSERT_TRUE(govern().set_rules(kAlice, "alice:work", rules).ok());
  CubeDraft draft = words(text, "note", "alice:work");
  draft.header.title = draft.header.why = key;
  const CubeId id = put(kAlice, draft);
  EXPECT_EQ(*store->payload(kAlice, id), "my key is [redacted: api key].");
  EXPECT_EQ(head(id).title, "[redacted: api key]");
  ASSERT_TRUE(store->revise(kAlice, id, 0, words(text, ""), key).ok());
  EXPECT_EQ(*store->payload(kAlice, id), "my key is [redacted: api key].");
  rules.secrets = Screen::refuse;
  ASSERT_TRUE(govern().set_rules(kAlice, "alice:work", rules).ok());
  auto refused = store->put(kAlice, draft);
  ASSERT_EQ(refused.code(), Code::denied);
  const std::string said(std::move(refused).status().message());
  EXPECT_NE(said.find("api key at byte 10"), std::string::npos) << said;
  EXPECT_EQ(said.find("abcd"), std::string::npos);
  EXPECT_EQ(govern().set_rules(kBob, "alice:work", rules).code(), Code::not_found);
}

TEST_F(GovernanceTest, AFullSpaceEvictsTheLeastValuableBytesAndKeepsEvidence) {
  const std::string space = "alice:small";
  ASSERT_TRUE(govern().set_rules(kAlice, space, {.cap_bytes = 1000}).ok());
  const auto add = [&](size_t bytes, double strength, std::string kind = "note") {
    CubeDraft draft = words(std::string(bytes, 'x'), std::move(kind), space);
    draft.header.strength = strength;
    return put(kAlice, draft);
  };
  const CubeId said = add(300, 0.001, "turn"), weak = add(300, 0.1), strong = add(300, 5);
  EXPECT_EQ(head(weak).life, Life::active);
  const CubeId last = add(300, 1);
  EXPECT_EQ(head(weak).life, Life::archived);
  for (const CubeId& id : {said, strong, last}) EXPECT_EQ(head(id).life, Life::active);
  EXPECT_EQ(*store->payload(kAlice, weak), std::string(300, 'x'));
  EXPECT_EQ((*govern().spaces(kAlice))[1].active_bytes, 900);

  ASSERT_TRUE(govern().set_rules(kAlice, space, {.cap_bytes = 500, .drop = true, .evidence = true}).ok());
  const auto tended = *govern().tend(kAlice, space);
  EXPECT_EQ(tended.archived, 2);
  EXPECT_EQ(tended.dropped, 2);
  EXPECT_EQ(head(said).life, Life::erased);
  EXPECT_EQ(head(last).life, Life::erased);
  EXPECT_EQ(head(strong).life, Life::active);
  EXPECT_EQ(govern().tend(kBob, space).code(), Code::not_found);
}

TEST_F(GovernanceTest, WhatIsDueExpiresAndWhatIsUnusedDecays) {
  CubeDraft draft = words("the sale ends");
  draft.header.valid_to = clock.time + kDay;
  const CubeId sale = put(kAlice, draft), old = put(kAlice, words("unused....")),
               used = put(kAlice, words("used......"));
  clock.time += 2 * kDay;
  MemoryOp op{.kind = MemoryOp::Kind::strengthen, .target = used};
  ASSERT_TRUE(store->apply(kAlice, {op}).ok());
  ASSERT_TRUE(govern().set_rules(kAlice, "alice", {.cap_bytes = 15, .half_life_ms = kDay}).ok());
  const auto tended = *govern().tend(kAlice, "alice");
  EXPECT_EQ(tended.expired, 1);
  EXPECT_EQ(head(sale).life, Life::expired);
  EXPECT_EQ(head(old).life, Life::archived);
  EXPECT_EQ(head(used).life, Life::active);
}

TEST_F(GovernanceTest, ABackupIsWholeOrRefusedAndRestoresWhatWasThere) {
  const CubeId small = put(kAlice, words("small")), large = put(kAlice, words(std::string(40000, 'l')));
  const std::string to = folder / "backup", home = folder / "again";
  const auto made = govern().backup(kAlice, to);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->files, 2);
  EXPECT_EQ(govern().backup(kAlice, to).code(), Code::exists);
  put(kAlice, words("later"));
  ASSERT_TRUE(restore_backup(posix_env(), to, home, ledger).ok());
  {
    auto copy = CubeStore::open(posix_env(), home, ledger, clock);
    EXPECT_EQ(*(*copy)->payload(kAlice, small), "small");
    EXPECT_EQ((*copy)->payload(kAlice, large)->size(), 40000u);
    EXPECT_EQ((*copy)->list(kAlice, {})->size(), 2u);
  }
  EXPECT_EQ(restore_backup(posix_env(), to, home, ledger).code(), Code::exists);
  const auto receipt = *store->erase(kAlice, small, "");
  ASSERT_EQ(receipt.not_reached.size(), 1u);
  EXPECT_NE(receipt.not_reached[0].find("backup"), std::string::npos);

  const std::string hex = sha256(std::string(40000, 'l')).hex();
  for (const std::string file : {"cubes.db", "manifest.json", ""}) {
    const std::string path =
        to + "/" + (file.empty() ? "blobs/" + hex.substr(0, 2) + "/" + hex.substr(2) : file);
    auto bytes = *read_file(posix_env(), path, 1 << 24);
    bytes[bytes.size() / 2] ^= std::byte(1);
    ASSERT_TRUE(write_file(posix_env(), path, bytes).ok());
    EXPECT_EQ(restore_backup(posix_env(), to, folder / "never", ledger).code(), Code::corrupt) << path;
    EXPECT_FALSE(*posix_env().exists(folder / "never"));
    bytes[bytes.size() / 2] ^= std::byte(1);
    ASSERT_TRUE(write_file(posix_env(), path, bytes).ok());
  }
  ASSERT_TRUE(posix_env().remove(to + "/manifest.json").ok());
  EXPECT_EQ(restore_backup(posix_env(), to, folder / "never", ledger).code(), Code::corrupt);
}

TEST_F(GovernanceTest, ABackupIsMadeWhileOthersWriteAndErase) {
  for (int i = 0; i < 200; ++i) put(kAlice, words(std::string(i % 5 == 0 ? 20000 + size_t(i) : 3000, 'x')));
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      const CubeId id = put(kBob, words(std::string(i % 2 == 0 ? 30000 + size_t(i) : 300, 'y')));
      if (i % 3 != 0) continue;
      EXPECT_TRUE(store->erase(kBob, id, "").ok());
    }
  });
  for (int i = 0; i < 3; ++i) {
    const std::string to = folder / ("b" + std::to_string(i));
    auto made = govern().backup(kAlice, to);
    EXPECT_TRUE(made.ok()) << std::move(made).status().text();
    auto restored = restore_backup(posix_env(), to, to + "-home", ledger);
    EXPECT_TRUE(restored.ok()) << std::move(restored).status().text();
  }
  stop = true;
  writer.join();
}

TEST_F(GovernanceTest, RepairTakesAwayOnlyWhatNobodyCanMiss) {
  const CubeId id = put(kAlice, words("kept"));
  ASSERT_TRUE(store->grant(kAlice, "alice", "bob", 1).ok());
  store.reset();
  {
    auto raw = sql::Database::open(folder / "cubes/cubes.db");
    ASSERT_TRUE((*raw)
                    ->script("UPDATE grants SET rights = 7; INSERT INTO supersedes VALUES(x'01', x'02', 0);"
                             "INSERT INTO edges VALUES(x'03', 1, x'04', 1)")
                    .ok());
  }
  open();
  EXPECT_EQ(store->check()->size(), 4u) << "the edge is wrong at both ends";
  EXPECT_EQ(store->payload(kBob, id).code(), Code::not_found);
  EXPECT_EQ(govern().repair()->size(), 3u);
  EXPECT_EQ(*store->check(), std::vector<std::string>{});
  EXPECT_EQ(*store->payload(kAlice, id), "kept");
}

TEST_F(GovernanceTest, WhatHadOtherSourcesIsToBeDerivedAgain) {
  const CubeId a = put(kAlice, words("one", "turn")), b = put(kAlice, words("two", "turn"));
  CubeDraft both = words("one and two", "summary"), only = words("one alone", "fact");
  both.header.from = {{a, 1}, {b, 1}};
  only.header.from = {{a, 1}};
  const CubeId summary = put(kAlice, both), lone = put(kAlice, only);
  const auto receipt = *store->erase(kAlice, a, "");
  EXPECT_EQ(receipt.rebuild, std::vector<CubeId>{summary});
  EXPECT_EQ(head(summary).life, Life::erased);
  EXPECT_EQ(head(lone).life, Life::erased);
  auto due = *govern().rebuilds(kAlice);
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].kind, "summary");
  EXPECT_EQ(due[0].from, std::vector<CubeId>{b});
  EXPECT_TRUE(govern().rebuilds(kBob)->empty());
  ASSERT_TRUE(govern().rebuilt(kAlice, summary).ok());
  EXPECT_TRUE(govern().rebuilds(kAlice)->empty());
}

TEST_F(GovernanceTest, TheJournalShowsWhoDidWhatAndThatNobodyChangedIt) {
  const CubeId id = put(kAlice, words("something private"));
  ASSERT_TRUE(store->grant(kAlice, "alice", "bob", 1).ok());
  const auto receipt = *store->erase(kAlice, id, "");
  auto entries = *govern().audit(kAlice, {});
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[1].detail, "bob reader");
  EXPECT_EQ(entries[2].action, "erase");
  EXPECT_EQ(entries[2].hash, receipt.proof);
  EXPECT_TRUE(govern().audit(kBob, {})->empty());
  EXPECT_EQ(govern().audit(kBob, {.space = "alice"}).code(), Code::denied);
  store.reset();
  auto raw = sql::Database::open(folder / "cubes/cubes.db");
  EXPECT_FALSE((*raw)->run("DELETE FROM journal WHERE sequence = 2").ok());
  EXPECT_FALSE((*raw)->run("UPDATE journal SET principal = 'eve'").ok());
  ASSERT_TRUE((*raw)
                  ->script("DROP TRIGGER journal_stays; UPDATE journal SET detail = 'eve admin' WHERE "
                           "sequence = 2")
                  .ok());
  *raw = nullptr;
  open();
  ASSERT_EQ(store->check()->size(), 1u);
  EXPECT_NE((*store->check())[0].find("journal was changed at entry 2"), std::string::npos);
  store.reset();
  raw = sql::Database::open(folder / "cubes/cubes.db");
  ASSERT_TRUE((*raw)->script("UPDATE journal SET detail = 'bob reader' WHERE sequence = 2").ok());
  *raw = nullptr;
  open();
}

}  // namespace
}  // namespace varve
