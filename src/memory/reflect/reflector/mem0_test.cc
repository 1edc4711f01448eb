#include <gtest/gtest.h>

#include "memory/reflect/reflector/scripted_test.h"

namespace varve {
namespace {

const Principal kAlice{"alice"};
constexpr TimeMs kMay = 1'683'504'000'000, kJune = 1'686'182'400'000;  // 2023-05-08, 2023-06-08

struct KnownFacts : Recall {
  std::vector<Recalled> facts;
  mutable std::vector<RecallQuery> asked;

  void know(CubeId id, std::string text, TimeMs event, std::string kind = "fact") {
    Recalled one;
    one.header.id = id;
    one.header.kind = std::move(kind);
    one.header.space = "alice";
    one.header.event = event;
    one.text = std::move(text);
    facts.push_back(std::move(one));
  }
  Result<std::vector<Recalled>> gather(const Principal&, const RecallQuery& query) const override {
    asked.push_back(query);
    return facts;
  }
  int64_t bytes() const override { return 0; }
  RecallState state() const override { return {}; }
  Status rebuild() override { return {}; }
  Status settle() override { return {}; }
};

Turn said(std::string user, std::string assistant, TimeMs time) {
  Turn turn;
  turn.session = "s1";
  turn.index = 7;
  turn.space = "alice";
  turn.user = std::move(user);
  turn.assistant = std::move(assistant);
  turn.time = time;
  turn.user_cube = CubeId::make(1);
  turn.assistant_cube = CubeId::make(2);
  return turn;
}

struct Mem0Test : Reflected {
  Result<std::vector<MemoryOp>> reflect(const Turn& turn, std::deque<std::string> answers,
                                        const std::string& spec = "mem0") {
    writer.answers = std::move(answers);
    auto reflector = reflectors().make(spec);
    EXPECT_TRUE(reflector.ok());
    return (*reflector)->reflect(kAlice, turn, {*store, facts_known}, &writer);
  }
  KnownFacts facts_known;
  ScriptedWriter writer;
};

TEST_F(Mem0Test, AFactComesFromItsTurnAndHasItsTurnsDate) {
  const Turn turn = said("I moved to Paris yesterday.", "How nice!", kMay);
  auto ops = reflect(turn, {R"({"facts":["The user moved to Paris on 2023-05-07."]})"});
  ASSERT_TRUE(ops.ok()) << std::move(ops).status().text();
  ASSERT_EQ(ops->size(), 1u);
  const CubeHeader& h = (*ops)[0].draft.header;
  EXPECT_EQ((*ops)[0].draft.payload, "The user moved to Paris on 2023-05-07.");
  EXPECT_EQ(h.kind, "fact");
  EXPECT_EQ(h.event, kMay);
  EXPECT_EQ(h.from, (std::vector<Source>{{*turn.user_cube, 1}, {*turn.assistant_cube, 1}}));
  EXPECT_EQ(h.session, "s1");
  EXPECT_EQ(h.turn, 7);
  EXPECT_NE(writer.prompts[0].find("2023-05-08"), std::string::npos);
  EXPECT_EQ(writer.prompts.size(), 1u) << "nothing similar is known, so nothing is to decide";
}

TEST_F(Mem0Test, AnUpdateSupersedesAndAKnownFactIsKept) {
  const CubeId berlin = CubeId::make(3), tea = CubeId::make(4);
  facts_known.know(berlin, "The user lives in Berlin.", kMay);
  facts_known.know(CubeId::make(5), "I live in Berlin", kMay, "turn");
  facts_known.know(tea, "The user likes tea.", kMay);
  auto ops =
      reflect(said("I live in Paris now and still like tea. I bought a cat.", "", kJune),
              {R"({"facts":["The user lives in Paris.","The user likes tea.","The user has a cat."]})",
               R"({"decisions":[{"fact":0,"action":"update","target":0},{"fact":1,"action":"keep","target":1},
                          {"fact":2,"action":"add","target":-1}]})"});
  ASSERT_TRUE(ops.ok()) << std::move(ops).status().text();
  ASSERT_EQ(ops->size(), 2u);
  EXPECT_EQ((*ops)[0].draft.header.supersedes, std::vector<CubeId>{berlin});
  EXPECT_EQ((*ops)[1].draft.payload, "The user has a cat.");
  EXPECT_TRUE((*ops)[1].draft.header.supersedes.empty());
  EXPECT_EQ(writer.prompts[1].find("I live in Berlin"), std::string::npos) << "turns are evidence, not facts";
  EXPECT_EQ(facts_known.asked[0].space, "alice");
}

TEST_F(Mem0Test, WhatWasSaidEarlierDoesNotReplaceWhatWasSaidLater) {
  facts_known.know(CubeId::make(3), "The user lives in Paris.", kJune);
  auto ops = reflect(said("I live in Berlin.", "", kMay),
                     {R"({"facts":["The user lives in Berlin."]})",
                      R"({"decisions":[{"fact":0,"action":"update","target":0}]})"});
  ASSERT_TRUE(ops.ok());
  EXPECT_TRUE(ops->empty());
}

TEST_F(Mem0Test, AWrongAnswerChangesNothing) {
  facts_known.know(CubeId::make(3), "The user likes tea.", kMay);
  const Turn turn = said("I like jam.", "", kJune);
  const std::string facts = R"({"facts":["The user likes jam.","The user likes toast."]})";
  const std::string keep = R"({"fact":1,"action":"keep","target":-1})";
  const std::vector<std::deque<std::string>> wrong = {
      {"Sure! Here are the facts:"},
      {R"({"facts":"The user likes jam."})"},
      {R"({"facts":[1]})"},
      {R"({"facts":[")" + std::string(600, 'x') + R"("]})"},
      {R"({"facts":["a","b","c","d","e","f","g","h","i"]})"},
      {facts, "add"},
      {facts, R"({"decisions":[]})"},
      {facts, R"({"decisions":[{"fact":0,"action":"add","target":-1}]})"},
      {facts, R"({"decisions":[{"fact":0,"action":"delete","target":0},)" + keep + "]}"},
      {facts, R"({"decisions":[{"fact":0,"action":"update","target":1},)" + keep + "]}"},
      {facts, R"({"decisions":[{"fact":0,"action":"update","target":-1},)" + keep + "]}"},
      {facts, R"({"decisions":[{"fact":2,"action":"add","target":-1},)" + keep + "]}"},
      {facts, R"({"decisions":[)" + keep + "," + keep + "]}"},
      {facts,
       R"({"decisions":[{"fact":0,"action":"update","target":0},{"fact":1,"action":"update","target":0}]})"},
  };
  for (const auto& answers : wrong) EXPECT_EQ(reflect(turn, answers).code(), Code::invalid) << answers.back();
  for (const char* nothing : {"", " \n", R"({"facts":[]})", R"({"facts":[" "]})"}) {
    auto ops = reflect(turn, {nothing});
    ASSERT_TRUE(ops.ok()) << nothing;
    EXPECT_TRUE(ops->empty());
  }
  EXPECT_EQ(reflect(turn, {}).code(), Code::cancelled) << "a writer that fails says why";
}

TEST_F(Mem0Test, RecalledWordsAreNeverStoredAgain) {
  Recalled old;
  old.header.id = CubeId::make(3);
  old.text = "The user is allergic to peanuts.";
  Turn turn = said("Can I eat satay?", present({old}) + "No: peanuts.", kMay);
  turn.recalled = {old};
  auto ops = reflect(
      turn,
      {R"({"facts":["The user is allergic to peanuts.","<recalled>x","The user asked about satay."]})"});
  ASSERT_TRUE(ops.ok());
  ASSERT_EQ(ops->size(), 1u);
  EXPECT_EQ((*ops)[0].draft.payload, "The user asked about satay.");
  EXPECT_EQ(writer.prompts[0].find("allergic"), std::string::npos) << "not even shown";
  Turn only = said(present({old}), "", kMay);
  ASSERT_TRUE(reflect(only, {}).ok()) << "nothing else was said, so the writer is not asked";
}

TEST_F(Mem0Test, WithoutTheAnswersItReadsAndCitesTheUserAlone) {
  const Turn turn = said("I like tea.", "The moon is made of cheese.", kMay);
  auto ops = reflect(turn, {R"({"facts":["The user likes tea."]})"}, "mem0:answers=0");
  ASSERT_EQ(ops->size(), 1u);
  EXPECT_EQ((*ops)[0].draft.header.from, (std::vector<Source>{{*turn.user_cube, 1}}));
  EXPECT_EQ(writer.prompts[0].find("cheese"), std::string::npos);
}

// With a real store and a real recall: forgetting the newer turn brings the older fact back.
TEST(Mem0, APlanHoldsInTheStoreAndIsUndoneByForgetting) {
  const TempFolder folder{TempFolder::in_ram()};
  Ledger ledger{256 << 20};
  auto store = CubeStore::open(posix_env(), folder / "cubes", ledger);
  ASSERT_TRUE(store.ok());
  auto recall = Recall::make("bm25", **store, nullptr, ledger);
  ASSERT_TRUE(recall.ok()) << std::move(recall).status().text();
  auto mem0 = reflectors().make("mem0");
  ScriptedWriter writer;
  const auto tell = [&](int32_t index, std::string words, TimeMs time, std::deque<std::string> answers) {
    Turn turn = said(words, "", time);
    turn.index = index;
    turn.assistant_cube.reset();
    CubeDraft draft;
    draft.header.kind = "turn";
    draft.payload = words;
    turn.user_cube = *(*store)->put(kAlice, draft);
    writer.answers = std::move(answers);
    auto ops = (*mem0)->reflect(kAlice, turn, {**store, **recall}, &writer);
    EXPECT_TRUE(ops.ok()) << std::move(ops).status().text();
    auto ids = (*store)->apply(kAlice, *ops);
    EXPECT_TRUE(ids.ok()) << std::move(ids).status().text();
    return *turn.user_cube;
  };
  const auto facts = [&] {
    std::vector<std::string> words;
    const auto found = *(*store)->list(kAlice, {.kind = "fact"});
    for (const CubeHeader& h : found) words.push_back(*(*store)->payload(kAlice, h.id));
    return words;
  };
  tell(1, "I live in Berlin.", kMay, {R"({"facts":["The user lives in Berlin."]})"});
  const CubeId moved = tell(2, "I live in Paris now.", kJune,
                            {R"({"facts":["The user lives in Paris."]})",
                             R"({"decisions":[{"fact":0,"action":"update","target":0}]})"});
  EXPECT_EQ(facts(), std::vector<std::string>{"The user lives in Paris."});
  ASSERT_TRUE((*store)->erase(kAlice, moved, "").ok());
  EXPECT_EQ(facts(), std::vector<std::string>{"The user lives in Berlin."});
  ASSERT_TRUE((*store)->observe(nullptr).ok());
}

}  // namespace
}  // namespace varve
