#include "memory/recall/recall.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

namespace varve {
namespace {

// Two words are near when they begin alike: enough of a meaning to test with.
class FirstLetters : public Embedder {
 public:
  std::string_view name() const override { return "first-letters"; }
  int width() const override { return 26; }
  Result<std::vector<float>> embed(std::string_view text) const override {
    std::vector<float> vector(26);
    bool begins = true;
    for (char c : text) {
      if (begins && c >= 'a' && c <= 'z') vector[size_t(c - 'a')] = 1;
      begins = c == ' ';
    }
    float count = 0;
    for (float value : vector) count += value;
    for (float& value : vector) value /= std::max(1.0f, std::sqrt(count));
    return vector;
  }
};

class RecallTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "varve-recall-" + std::to_string(getpid());
    std::filesystem::remove_all(folder_);
    clock_.time = *parse_time("2024-06-01");
    open("default");
  }
  void TearDown() override {
    recall_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  void open(const char* recipe, const Embedder* embedder = nullptr) {
    recall_.reset();
    store_.reset();
    auto store = CubeStore::open(posix_env(), folder_, ledger_, clock_);
    ASSERT_TRUE(store.ok()) << std::move(store).status().text();
    store_ = std::move(store).value();
    auto recall = Recall::make(recipe, *store_, embedder, ledger_, clock_);
    ASSERT_TRUE(recall.ok()) << std::move(recall).status().text();
    recall_ = std::move(recall).value();
  }
  CubeId say(const std::string& who, const std::string& text, const std::string& session = "s",
             int32_t turn = 0) {
    CubeDraft draft;
    draft.header.kind = "turn";
    draft.header.space = who;
    draft.header.session = session;
    draft.header.turn = turn;
    draft.header.speaker = "user";
    draft.payload = text;
    auto id = store_->put({who}, std::move(draft));
    EXPECT_TRUE(id.ok());
    return id.ok() ? *id : CubeId{};
  }
  std::vector<std::string> ask(const std::string& who, RecallQuery query) {
    auto recalled = recall_->gather({who}, query);
    EXPECT_TRUE(recalled.ok());
    std::vector<std::string> texts;
    for (const Recalled& one : *recalled) texts.push_back(one.text);
    return texts;
  }

  std::string folder_;
  FixedClock clock_;
  Ledger ledger_{256 << 20};
  std::unique_ptr<CubeStore> store_;
  std::unique_ptr<Recall> recall_;
};

using Texts = std::vector<std::string>;

TEST_F(RecallTest, FindsWhatWasSaidAlsoAfterReopening) {
  say("alice", "I am allergic to peanuts.");
  say("alice", "The weather is fine.");
  EXPECT_EQ(ask("alice", {.text = "peanut allergy", .limit = 1}), Texts{"I am allergic to peanuts."});
  open("default");
  EXPECT_EQ(ask("alice", {.text = "peanut allergy", .limit = 1}), Texts{"I am allergic to peanuts."});
}

TEST_F(RecallTest, OnlyForThoseWhoMayRead) {
  say("alice", "The code of the safe is 4711.");
  EXPECT_TRUE(ask("bob", {.text = "code of the safe"}).empty());
  EXPECT_TRUE(ask("bob", {.text = "code of the safe", .space = "alice"}).empty());
  ASSERT_TRUE(store_->grant({"alice"}, "alice", "bob", uint8_t(Right::read)).ok());
  EXPECT_EQ(ask("bob", {.text = "code of the safe"}).size(), 1u);
  ASSERT_TRUE(store_->grant({"alice"}, "alice", "bob", 0).ok());
  EXPECT_TRUE(ask("bob", {.text = "code of the safe"}).empty());
}

TEST_F(RecallTest, ErasedArchivedAndExpiredCubesAreNotRecalled) {
  const CubeId one = say("alice", "red kite");
  const CubeId two = say("alice", "red fox");
  say("alice", "red brick");
  ASSERT_TRUE(store_->erase({"alice"}, one, "test").ok());
  ASSERT_TRUE(store_->advance({"alice"}, two, Life::archived, "test").ok());
  EXPECT_EQ(ask("alice", {.text = "red"}), Texts{"red brick"});
}

TEST_F(RecallTest, StaysWithinItsTokensAndSkipsWhatStandsInThePrompt) {
  say("alice", "tea " + std::string(396, 'x'), "old");  // 100 tokens
  say("alice", "tea with milk", "old", 9);
  say("alice", "tea now", "current");
  const auto texts = ask("alice", {.text = "tea", .token_budget = 50, .skip_session = "current"});
  EXPECT_EQ(texts, Texts{"tea with milk"});
  const auto earlier = ask("alice", {.text = "milk", .skip_session = "old", .skip_from_turn = 10});
  EXPECT_EQ(earlier, Texts{"tea with milk"});  // that turn has left the prompt
}

TEST_F(RecallTest, RecalledTextIsNeverFoundAsNew) {
  say("alice", "I like plums.");
  const auto recalled = recall_->gather({"alice"}, {.text = "plums"});
  ASSERT_TRUE(recalled.ok());
  say("alice", present(*recalled) + " So you like plums.");
  EXPECT_EQ(ask("alice", {.text = "plums"}).size(), 1u);
}

TEST_F(RecallTest, DenseFindsWhatSharesNoWord) {
  const FirstLetters letters;
  open("bm25+dense", &letters);
  say("alice", "quick brown");
  say("alice", "slow zebra");
  EXPECT_EQ(ask("alice", {.text = "quiet bear", .limit = 1}), Texts{"quick brown"});
  auto recalled = recall_->gather({"alice"}, {.text = "quick bear", .limit = 1});
  ASSERT_TRUE(recalled.ok());
  EXPECT_EQ(recalled->front().parts.size(), 2u);  // each retriever's score, for explain
}

TEST_F(RecallTest, EveryStageOfTheRecipeIsExplained) {
  open("bm25+rrf+context:dense=0+speaker");
  say("alice", "quick brown fox");
  auto recalled = recall_->gather({"alice"}, {.text = "what did I say of the fox"});
  ASSERT_TRUE(recalled.ok());
  ASSERT_EQ(recalled->size(), 1u);
  const auto& parts = recalled->front().parts;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].first, "bm25");
  EXPECT_EQ(parts[2].first, "speaker");
  EXPECT_EQ(parts[2].second, recalled->front().score);
  EXPECT_GT(parts[2].second, parts[1].second);
}

TEST_F(RecallTest, EarlierTimesAreAskedFor) {
  CubeDraft flat;
  flat.header.kind = "fact";
  flat.header.valid_from = *parse_time("2022-01-01");
  flat.payload = "lives in a flat in Oslo";
  const auto old = store_->put({"alice"}, flat);
  ASSERT_TRUE(old.ok());
  clock_.time = *parse_time("2024-07-01");
  CubeDraft house;
  house.header.kind = "fact";
  house.header.valid_from = *parse_time("2024-06-15");
  house.header.supersedes = {*old};
  house.payload = "lives in a house in Oslo";
  ASSERT_TRUE(store_->put({"alice"}, house).ok());
  say("alice", "Oslo is cold");
  for (int i = 0; i < 2; ++i) {
    const RecallQuery lives{.text = "lives Oslo", .kinds = {"fact"}};
    EXPECT_EQ(ask("alice", lives), Texts{"lives in a house in Oslo"});
    RecallQuery then = lives;
    then.as_of = *parse_time("2023-01-01");
    EXPECT_EQ(ask("alice", then), Texts{"lives in a flat in Oslo"});
    then.as_of = *parse_time("2021-01-01");
    EXPECT_TRUE(ask("alice", then).empty());
    RecallQuery known = lives;
    known.known_at = *parse_time("2024-06-20");
    EXPECT_EQ(ask("alice", known), Texts{"lives in a flat in Oslo"});
    known.known_at = *parse_time("2023-06-20");  // before anything was recorded
    EXPECT_TRUE(ask("alice", known).empty());
    open("default");  // what has ended is found again
  }
}

TEST_F(RecallTest, TheTimeOfAnEventIsLookedUp) {
  open("bm25+happened+context:dense=0+time:weight=1");
  const auto at = [&](const char* date, const char* text) {
    CubeDraft draft;
    draft.header.kind = "turn";
    draft.header.event = *parse_time(date);
    draft.payload = text;
    ASSERT_TRUE(store_->put({"alice"}, draft).ok());
  };
  at("2024-03-20", "Today is my birthday!");
  at("2024-03-06", "Bought a kayak.");
  at("2023-11-06", "Bought a tent.");
  EXPECT_EQ(ask("alice", {.text = "What did I buy two weeks before my birthday?", .limit = 1}),
            Texts{"Bought a kayak."});
}

TEST_F(RecallTest, CountingLooksAtEveryCubeOfTheSpacesThatOneMayRead) {
  for (int i = 0; i < 300; ++i) say("alice", "bread " + std::to_string(i), "s", i);
  say("bob", "bread of mine");
  const auto counted = recall_->aggregate({"alice"}, {.text = "How often did I mention bread?", .limit = 3});
  ASSERT_TRUE(counted.ok());
  ASSERT_TRUE(counted->has_value());
  EXPECT_EQ((*counted)->count, 300);
  EXPECT_EQ((*counted)->evidence.size(), 3u);
  EXPECT_FALSE(recall_->aggregate({"alice"}, {.text = "Do I like bread?"})->has_value());
}

TEST_F(RecallTest, AnExtremeIsFoundOverEveryCubeWithItsEvidence) {
  for (int i = 0; i < 200; ++i) say("alice", "I paid $" + std::to_string(10 + i) + " for lunch", "s", i);
  say("alice", "I bought a watch for $1,299.99", "s", 300);
  say("alice", "I bought a ring for 2000 euros", "s", 301);
  say("alice", "Should I have bought the $9000 boat?", "s", 302);
  say("bob", "I bought a car for $20,000");
  const RecallQuery query{.text = "What are the two most expensive things I bought?"};
  const auto found = recall_->aggregate({"alice"}, query);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->values, (std::vector<std::string>{"$1,299.99", "$209"}));
  EXPECT_EQ((*found)->count, 201);
  ASSERT_EQ((*found)->evidence.size(), 2u);
  EXPECT_EQ((*found)->evidence[0].text, "I bought a watch for $1,299.99");
  EXPECT_EQ(in_words(**found),
            "Of 201 memories with such a number for 'bought', from the greatest: $1,299.99; $209.");
  EXPECT_EQ((*recall_->aggregate({"alice"}, {.text = "the cheapest lunch"}))->values[0], "$10");
  EXPECT_FALSE(recall_->aggregate({"alice"}, {.text = "the longest lunch"})->has_value());
  EXPECT_FALSE(recall_->aggregate({"carol"}, query)->has_value());
}

struct Backwards : Scorer {  // likes what was said last
  Result<std::vector<float>> score(std::string_view, std::span<const std::string_view> texts) override {
    std::vector<float> scores;
    for (std::string_view text : texts)
      scores.push_back(text.find("late") != std::string_view::npos ? 0.0f : -9.0f);
    return scores;
  }
};

TEST_F(RecallTest, AModelsWordOnWhatWasFound) {
  Backwards scorer;
  recall_.reset();
  auto recall = Recall::make("bm25+likelihood:weight=5", *store_, nullptr, ledger_, clock_, {&scorer});
  ASSERT_TRUE(recall.ok());
  recall_ = std::move(recall).value();
  say("alice", "plum plum plum");
  say("alice", "a late word of one plum among many others");
  EXPECT_EQ(ask("alice", {.text = "plum", .limit = 1}), Texts{"a late word of one plum among many others"});
}

TEST_F(RecallTest, ARecipeThatCannotBeIsRefusedWithAReason) {
  const auto code = [&](const char* recipe) {
    return Recall::make(recipe, *store_, nullptr, ledger_).code();
  };
  EXPECT_EQ(code("dense"), Code::unsupported);
  EXPECT_EQ(code("bm26"), Code::not_found);
  EXPECT_EQ(code("neighbours"), Code::invalid);
  EXPECT_EQ(code("bm25:k9=1"), Code::invalid);
  EXPECT_EQ(code(""), Code::invalid);
}

TEST_F(RecallTest, words_find_while_the_embedder_fails) {
  struct Failing : FirstLetters {
    Result<std::vector<float>> embed(std::string_view) const override {
      return Status(Code::over_budget, "the model is busy");
    }
  };
  const Failing embedder;
  open("bm25+dense", &embedder);
  say("ann", "the harbour at dawn");
  EXPECT_EQ(ask("ann", {.text = "harbour"}), std::vector<std::string>{"the harbour at dawn"});
}

}  // namespace
}  // namespace varve
