#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "core/base/rng.h"
#include "memory/cube/cube_store.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

const Principal kAlice{"alice"}, kBob{"bob"};

CubeDraft words(std::string text, std::string kind = "note") {
  CubeDraft draft;
  draft.header.kind = std::move(kind);
  draft.payload = std::move(text);
  return draft;
}

struct CubeStoreTest : testing::Test {
  void open() {
    store.reset();
    auto opened = CubeStore::open(posix_env(), folder / "cubes", ledger, clock);
    ASSERT_TRUE(opened.ok()) << std::move(opened).status().text();
    store = std::move(opened).value();
  }
  void SetUp() override {
    clock.time = 1'700'000'000'000;
    open();
  }
  CubeId put(const Principal& who, CubeDraft draft) {
    auto id = store->put(who, std::move(draft));
    EXPECT_TRUE(id.ok()) << std::move(id).status().text();
    return id.ok() ? *id : CubeId{};
  }
  CubeId derive(std::string text, std::vector<CubeId> from, std::vector<CubeId> instead_of = {}) {
    CubeDraft draft = words(std::move(text), "fact");
    for (const CubeId& id : from) draft.header.from.push_back({id, 1});
    draft.header.supersedes = std::move(instead_of);
    return put(kAlice, std::move(draft));
  }
  Life life(CubeId id) { return (*store->head(kAlice, id)).life; }
  void expect_sound() {
    auto problems = store->check();
    ASSERT_TRUE(problems.ok()) << std::move(problems).status().text();
    EXPECT_EQ(*problems, std::vector<std::string>{});
  }

  TempFolder folder{TempFolder::in_ram()};
  FixedClock clock;
  Ledger ledger{256 << 20};
  std::unique_ptr<CubeStore> store;
};

TEST_F(CubeStoreTest, AnOriginFindsItsCubeAndLabelsStayWithTheirVersion) {
  CubeDraft draft = words("from elsewhere");
  draft.header.origin = "chatgpt:1/2";
  draft.header.labels = R"({"user_id":"u1"})";
  const CubeId id = put(kAlice, draft);
  put(kAlice, words("from here"));
  open();
  const auto found = store->list(kAlice, {.origin = "chatgpt:1/2"});
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().id, id);
  EXPECT_EQ(found->front().labels, draft.header.labels);
  EXPECT_TRUE(store->list(kBob, {.space = "alice", .origin = "chatgpt:1/2"})->empty());
  draft.header.labels = "[1]";
  EXPECT_EQ(store->put(kAlice, draft).code(), Code::invalid);
  draft.header.labels = std::string(kMaxLabelBytes, ' ') + "{}";
  EXPECT_EQ(store->put(kAlice, draft).code(), Code::invalid);
  ASSERT_TRUE(store->erase(kAlice, id, "").ok());
  EXPECT_TRUE(store->list(kAlice, {.origin = "chatgpt:1/2", .life = std::nullopt})->empty());
  expect_sound();
}

TEST_F(CubeStoreTest, WhatWasPutIsThereAfterReopening) {
  CubeDraft draft = words("I am allergic to peanuts.", "turn");
  draft.header.title = "allergy";
  draft.header.session = "s1";
  draft.header.turn = 3;
  draft.header.speaker = "user";
  draft.header.event = 42;
  draft.header.why = "said so";
  const CubeId id = put(kAlice, draft);
  const std::string large(100000, 'x');
  const CubeId blob = put(kAlice, words(large, "document"));
  open();
  auto header = store->head(kAlice, id);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->title, "allergy");
  EXPECT_EQ(header->session, "s1");
  EXPECT_EQ(header->turn, 3);
  EXPECT_EQ(header->speaker, "user");
  EXPECT_EQ(header->event, 42);
  EXPECT_EQ(header->why, "said so");
  EXPECT_EQ(header->owner, "alice");
  EXPECT_EQ(header->space, "alice");
  EXPECT_EQ(header->recorded, clock.time);
  EXPECT_EQ(*store->payload(kAlice, id), "I am allergic to peanuts.");
  EXPECT_EQ(*store->payload(kAlice, blob), large);
  expect_sound();
}

TEST_F(CubeStoreTest, ASecondProcessIsToldThatTheStoreIsTaken) {
  EXPECT_EQ(CubeStore::open(posix_env(), folder / "cubes", ledger, clock).code(), Code::conflict);
}

TEST_F(CubeStoreTest, EvidenceIsNeverRevised) {
  const CubeId id = put(kAlice, words("said", "turn"));
  EXPECT_EQ(store->revise(kAlice, id, 1, words("other", "turn"), "").code(), Code::denied);
  EXPECT_EQ(*store->payload(kAlice, id), "said");
  EXPECT_TRUE(store->advance(kAlice, id, Life::archived, "").ok());
}

TEST_F(CubeStoreTest, RevisingKeepsTheOldVersionAndNoticesARace) {
  const CubeId id = put(kAlice, words("one"));
  EXPECT_EQ(*store->revise(kAlice, id, 1, words("two"), "better"), 2u);
  EXPECT_EQ(store->revise(kAlice, id, 1, words("three"), "").code(), Code::conflict);
  EXPECT_EQ(*store->payload(kAlice, id), "two");
  EXPECT_EQ(*store->payload(kAlice, id, 1), "one");
  auto history = store->history(kAlice, id);
  ASSERT_EQ(history->size(), 2u);
  EXPECT_EQ((*history)[1].why, "better");
  EXPECT_EQ(store->head(kAlice, id, 3).code(), Code::not_found);
}

TEST_F(CubeStoreTest, TrustIsAtMostThatOfTheSources) {
  CubeDraft page = words("from a page", "document");
  page.header.trust = Trust::outside;
  const CubeId outside = put(kAlice, page), said = put(kAlice, words("said", "turn"));
  const CubeId fact = derive("mixed", {said, outside});
  EXPECT_EQ((*store->head(kAlice, fact)).trust, Trust::outside);
  EXPECT_EQ((*store->head(kAlice, derive("pure", {said}))).trust, Trust::user);
  EXPECT_EQ((*store->derived(kAlice, outside)).size(), 1u);
}

TEST_F(CubeStoreTest, SupersedingExpiresAndErasingGivesBack) {
  const CubeId berlin_said = put(kAlice, words("I live in Berlin", "turn"));
  const CubeId paris_said = put(kAlice, words("I moved to Paris", "turn"));
  const CubeId rome_said = put(kAlice, words("Now it is Rome", "turn"));
  const CubeId berlin = derive("lives in Berlin", {berlin_said});
  const CubeId paris = derive("lives in Paris", {paris_said}, {berlin});
  const CubeId rome = derive("lives in Rome", {rome_said}, {paris});
  EXPECT_EQ(life(berlin), Life::expired);
  EXPECT_EQ((*store->head(kAlice, berlin)).valid_to, clock.time);
  ASSERT_TRUE(store->erase(kAlice, paris_said, "").ok());
  EXPECT_EQ(life(paris), Life::erased);
  EXPECT_EQ(life(berlin), Life::expired) << "Rome still supersedes it";
  ASSERT_TRUE(store->erase(kAlice, rome, "").ok());
  EXPECT_EQ(life(berlin), Life::active);
  EXPECT_EQ((*store->head(kAlice, berlin)).valid_to, std::nullopt);
  expect_sound();
}

TEST_F(CubeStoreTest, ErasingTakesAllThatWasDerivedAndFlagsWeights) {
  const CubeId said = put(kAlice, words("I like tea", "turn")), other = put(kAlice, words("and jam", "turn"));
  const CubeId fact = derive("likes tea", {said, other}), summary = derive("breakfast", {fact});
  CubeDraft weights = words("bytes", "adapter");
  weights.header.form = Form::parametric;
  weights.header.model = sha256("model");
  weights.header.from = {{fact, 1}};
  const CubeId adapter = put(kAlice, weights);
  weights.header.form = Form::activation;
  const CubeId state = put(kAlice, weights);
  auto receipt = store->erase(kAlice, said, "");
  ASSERT_TRUE(receipt.ok()) << std::move(receipt).status().text();
  EXPECT_EQ(receipt->items.size(), 5u);
  EXPECT_EQ(receipt->items[0].id, said);
  EXPECT_EQ(receipt->items[0].payload_hash, sha256("I like tea"));
  EXPECT_EQ(receipt->not_reached.size(), 1u);
  for (const CubeId& id : {said, fact, summary, state}) {
    EXPECT_EQ(life(id), Life::erased);
    EXPECT_EQ(store->payload(kAlice, id).code(), Code::not_found);
  }
  EXPECT_EQ(life(other), Life::active);
  EXPECT_EQ(life(adapter), Life::archived);
  EXPECT_EQ(store->erase(kAlice, said, "").code(), Code::not_found);
  open();
  expect_sound();
}

TEST_F(CubeStoreTest, OthersSeeNothingUntilGranted) {
  const CubeId id = put(kAlice, words("secret"));
  EXPECT_EQ(store->payload(kBob, id).code(), Code::not_found);
  EXPECT_EQ(store->erase(kBob, id, "").code(), Code::not_found);
  EXPECT_EQ(store->grant(kBob, "alice", "bob", 1).code(), Code::not_found);
  ASSERT_TRUE(store->grant(kAlice, "alice", "bob", uint8_t(Right::read)).ok());
  EXPECT_EQ(*store->payload(kBob, id), "secret");
  EXPECT_EQ(store->erase(kBob, id, "").code(), Code::denied);
  EXPECT_EQ(store->grant(kBob, "alice", "carol", 1).code(), Code::denied);
  EXPECT_EQ((*store->readable_spaces(kBob)), (std::vector<std::string>{"alice", "bob"}));
  ASSERT_TRUE(store->grant(kAlice, "alice", "bob", 0).ok());
  EXPECT_EQ(store->payload(kBob, id).code(), Code::not_found);
}

TEST_F(CubeStoreTest, APlanIsAppliedWhollyOrNotAtAll) {
  const CubeId old = put(kAlice, words("old"));
  MemoryOp add, expire, wrong;
  add.draft = words("new");
  expire.kind = MemoryOp::Kind::expire;
  expire.target = old;
  wrong.kind = MemoryOp::Kind::strengthen;
  wrong.target = CubeId::make(1);
  EXPECT_EQ(store->apply(kAlice, {add, expire, wrong}).code(), Code::not_found);
  EXPECT_EQ((*store->list(kAlice, {})).size(), 1u);
  EXPECT_EQ(life(old), Life::active);
  auto ids = store->apply(kAlice, {add, expire});
  ASSERT_EQ(ids->size(), 2u);
  EXPECT_EQ(*store->payload(kAlice, (*ids)[0]), "new");
  EXPECT_EQ(life(old), Life::expired);
}

TEST_F(CubeStoreTest, ListsPageBySpaceKindSessionAndLife) {
  std::vector<CubeId> all;
  for (int i = 0; i < 25; ++i) {
    CubeDraft draft = words("n" + std::to_string(i), i % 5 == 0 ? "turn" : "note");
    draft.header.session = i % 2 ? "odd" : "even";
    all.push_back(put(kAlice, draft));
  }
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end())) << "ids sort by age within a millisecond";
  std::vector<CubeId> paged;
  CubeFilter filter;
  filter.limit = 7;
  for (int page = 0; page < 10; ++page) {
    auto headers = store->list(kAlice, filter);
    for (const CubeHeader& header : *headers) paged.push_back(header.id);
    if (headers->empty()) break;
    filter.after = paged.back();
  }
  EXPECT_EQ(paged, all);
  EXPECT_EQ((*store->list(kAlice, {.kind = "turn"})).size(), 5u);
  EXPECT_EQ((*store->list(kAlice, {.session = "odd"})).size(), 12u);
  EXPECT_EQ((*store->list(kAlice, {.space = "bob"})).size(), 0u);
  EXPECT_EQ(store->list(kAlice, {.limit = 0}).code(), Code::invalid);
}

TEST_F(CubeStoreTest, ExportedCubesComeBackAsOutsiders) {
  CubeDraft draft = words("tea at four");
  draft.header.event = 7;
  draft.header.session = "s";
  const CubeId id = put(kAlice, draft);
  const std::string file = *store->export_cube(kAlice, id);
  EXPECT_EQ(store->export_cube(kBob, id).code(), Code::not_found);
  auto copy = store->import_cube(kBob, file, "");
  ASSERT_TRUE(copy.ok()) << std::move(copy).status().text();
  auto header = store->head(kBob, *copy);
  EXPECT_NE(header->id, id);
  EXPECT_EQ(header->owner, "bob");
  EXPECT_EQ(header->trust, Trust::outside);
  EXPECT_EQ(header->event, 7);
  EXPECT_EQ(header->session, "");
  EXPECT_NE(header->why.find(id.text()), std::string::npos);
  EXPECT_EQ(*store->payload(kBob, *copy), "tea at four");
}

struct Told : CubeObserver {
  std::vector<std::string> lines;
  CubeStore* store = nullptr;
  void changed(const CubeHeader& header, std::string_view payload) override {
    lines.push_back(std::string(to_string(header.life)) + " " + std::string(payload));
    EXPECT_TRUE(store->head(kAlice, header.id).ok()) << "an observer may read";
  }
  void erased(const CubeHeader& header) override { lines.push_back("erased " + header.kind); }
};

TEST_F(CubeStoreTest, TheObserverIsToldOfWhatIsThereAndOfWhatChanges) {
  put(kAlice, words("first"));
  const CubeId gone = put(kAlice, words("archived"));
  ASSERT_TRUE(store->advance(kAlice, gone, Life::archived, "").ok());
  Told told;
  told.store = store.get();
  ASSERT_TRUE(store->observe(&told).ok());
  const CubeId id = put(kAlice, words("second"));
  ASSERT_TRUE(store->revise(kAlice, id, 0, words("third"), "").ok());
  ASSERT_TRUE(store->erase(kAlice, id, "").ok());
  ASSERT_TRUE(store->observe(nullptr).ok());
  put(kAlice, words("unseen"));
  EXPECT_EQ(told.lines,
            (std::vector<std::string>{"active first", "active second", "active third", "erased note"}));
}

TEST_F(CubeStoreTest, BadDraftsAreRefusedWithTheReason) {
  EXPECT_EQ(store->put(kAlice, words("no kind", "")).code(), Code::invalid);
  EXPECT_EQ(store->put(kAlice, words("bad \xff text")).code(), Code::invalid);
  EXPECT_EQ(store->put({"Not A Name"}, words("x")).code(), Code::invalid);
  CubeDraft draft = words(std::string(size_t(kMaxPlaintextBytes) + 1, 'x'));
  EXPECT_EQ(store->put(kAlice, draft).code(), Code::invalid);
  draft = words("x");
  draft.header.form = Form::activation;
  EXPECT_EQ(store->put(kAlice, draft).code(), Code::invalid) << "no model named";
  draft = words("x");
  draft.header.from = {{CubeId::make(5), 1}};
  EXPECT_EQ(store->put(kAlice, draft).code(), Code::not_found);
  draft = words("x");
  draft.header.space = "bob";
  EXPECT_EQ(store->put(kAlice, draft).code(), Code::not_found);
  EXPECT_EQ((*store->list(kAlice, {})).size(), 0u);
}

constexpr std::string_view kCanary = "CANARY-";

std::string canary(uint32_t number) {
  return std::string(kCanary) + sha256(std::to_string(number)).hex().substr(0, 16);
}

// Every canary in any file below `path`: as bytes, and as UTF-16.
std::set<std::string> canaries_in(const std::string& path) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    for (const size_t stride : {1, 2}) {
      for (size_t at = 0; at + 23 * stride <= bytes.size(); ++at) {
        std::string text;
        for (size_t i = 0; i < 23 && (i >= kCanary.size() || text == kCanary.substr(0, i)); ++i) {
          text += bytes[at + i * stride];
        }
        if (text.starts_with(kCanary)) found.insert(text);
      }
    }
  }
  return found;
}

TEST_F(CubeStoreTest, ErasedTextIsInNoFile) {
  std::map<CubeId, std::vector<std::string>> living;  // the canaries of a cube, one a version
  std::set<std::string> expected;
  uint32_t number = 0;
  for (uint64_t round = 0; round < 40; ++round) {
    uint64_t drawn = 0;
    const auto roll = [&](uint32_t limit) {
      return random_bits({.seed = 8, .step = round}, drawn++) % limit;
    };
    const auto draft = [&](const std::string& mark) {
      std::string text;
      for (uint32_t n = roll(20) ? 1 + roll(30) : 1000; n > 0; --n) text += mark + " ";  // some become blobs
      CubeDraft made = words(text);
      made.header.title = made.header.why = made.header.speaker = mark;
      return made;
    };
    std::vector<MemoryOp> plan;
    for (auto it = living.begin(); it != living.end();) {
      const uint32_t fate = roll(10);
      if (fate < 2) {
        plan.push_back({.kind = MemoryOp::Kind::erase, .target = it->first, .why = it->second[0]});
        it = living.erase(it);
        continue;
      }
      if (fate == 2) {
        it->second.push_back(canary(++number));
        plan.push_back(
            {.kind = MemoryOp::Kind::revise, .target = it->first, .draft = draft(it->second.back())});
      }
      ++it;
    }
    for (int i = 0; i < 40; ++i) {
      plan.push_back({.draft = draft(canary(++number))});
      plan.back().draft.header.session = canary(number);
    }
    auto ids = store->apply(kAlice, plan);
    ASSERT_TRUE(ids.ok()) << std::move(ids).status().text();
    for (size_t i = 0; i < 40; ++i)
      living[(*ids)[ids->size() - 40 + i]] = {canary(number - 39 + uint32_t(i))};
  }
  for (const auto& [id, marks] : living) expected.insert(marks.begin(), marks.end());
  expect_sound();
  EXPECT_EQ(canaries_in(folder.path()), expected) << "while it is open";
  store.reset();
  EXPECT_EQ(canaries_in(folder.path()), expected) << "closed";
  EXPECT_GT(number - expected.size(), 1000u) << "canaries erased";
}

}  // namespace
}  // namespace varve
