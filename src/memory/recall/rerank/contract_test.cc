// What every reranker owes its callers, and what each is for.
#include <gtest/gtest.h>

#include "memory/recall/rerank.h"

namespace varve {
namespace {

struct Scene {
  Entries entries;
  std::string text = "when did Ann paint the lighthouse in May 2023?";
  std::vector<float> vector{1, 0};
  Question question = read_question(text);
  std::vector<TimeRange> times = read_times(text, 0).ranges;
  Query query{text, vector, {}, {}, 0, times};
  std::map<CubeId, std::string> words_of;

  Asked asked() const { return {query, question, entries}; }
  Asked asked(Scorer& scorer) const {
    return {query, question, entries, &scorer, [&](CubeId id) -> Result<std::string> {
              const auto known = words_of.find(id);
              if (known == words_of.end()) return Status(Code::not_found, "erased");
              return known->second;
            }};
  }
  CubeId add(int number, const std::string& session, const std::string& words,
             const std::string& speaker = "Ann", const std::string& date = "2023-05-08") {
    CubeHeader header;
    header.id = CubeId::make(number);
    header.space = "s";
    header.session = session;
    header.turn = number;
    header.speaker = speaker;
    header.event = *parse_time(date);
    words_of[header.id] = words;
    entries.add(header, words, std::vector<float>{0.6f, 0.8f});
    return header.id;
  }
};

float score_of(const std::vector<Hit>& hits, CubeId id) {
  for (const Hit& hit : hits) {
    if (hit.id == id) return hit.score;
  }
  return -1;
}

std::vector<Hit> reranked(std::string_view spec, const Scene& scene, std::vector<Hit> hits) {
  auto made = rerankers().make(spec);
  EXPECT_TRUE(made.ok());
  EXPECT_TRUE((*made)->rerank(scene.asked(), hits).ok());
  return hits;
}

class EveryReranker : public testing::TestWithParam<std::string> {};

TEST_P(EveryReranker, KeepsEveryHitAndTheOrderDescending) {
  Scene scene;
  std::vector<Hit> before;
  for (int i = 0; i < 10; ++i) {
    const CubeId id = scene.add(i, i < 4 ? "a" : i < 8 ? "b" : "", i % 2 ? "we paint" : "a lighthouse?");
    if (i % 3 == 0) before.push_back({id, float(10 - i) / 10});
  }
  before.push_back({CubeId::make(99), 0.05f});  // gone from the index since
  const auto after = reranked(GetParam(), scene, before);
  for (const Hit& hit : before) {
    EXPECT_TRUE(std::any_of(after.begin(), after.end(), [&](const Hit& one) { return one.id == hit.id; }));
  }
  for (size_t i = 1; i < after.size(); ++i) EXPECT_GE(after[i - 1].score, after[i].score);
  EXPECT_TRUE(reranked(GetParam(), scene, {}).empty());
}

INSTANTIATE_TEST_SUITE_P(All, EveryReranker, testing::ValuesIn(rerankers().names()),
                         [](const auto& one) { return one.param; });

TEST(Neighbours, ATurnBetweenTwoFoundOnesIsFoundAndSessionsDoNotMix) {
  Scene scene;
  const CubeId one = scene.add(1, "a", "x"), two = scene.add(2, "a", "x"), three = scene.add(3, "a", "x");
  scene.add(2, "b", "x");
  const auto hits = reranked("neighbours:reach=1,share=0.5", scene, {{one, 1}, {three, 1}});
  ASSERT_EQ(hits.size(), 3u);
  EXPECT_FLOAT_EQ(score_of(hits, two), 1);
  scene.entries.remove(two);
  EXPECT_EQ(reranked("neighbours:reach=1,share=0.5", scene, {{one, 1}}).size(), 1u);
}

TEST(Context, AnAnswerOwnsItsQuestionAndWordsSaturate) {
  Scene scene;
  const CubeId question = scene.add(1, "a", "Did you paint the lighthouse?", "Bob");
  const CubeId answer = scene.add(2, "a", "Yes, on Sunday", "Ann");
  const CubeId later = scene.add(3, "a", "Nice weather", "Bob");
  const CubeId repeats = scene.add(7, "a", "paint paint paint paint", "Ann");
  const auto hits = reranked("context:dense=0", scene, {{question, 1}, {repeats, 1}});
  EXPECT_GT(score_of(hits, question), score_of(hits, answer));
  EXPECT_GT(score_of(hits, answer), score_of(hits, later));
  EXPECT_GT(score_of(hits, question), score_of(hits, repeats));  // two words once beat one four times
}

TEST(Context, WithoutASessionACubeStandsAlone) {
  Scene scene;
  const CubeId first = scene.add(1, "", "the lighthouse"), second = scene.add(2, "", "other words");
  const auto hits = reranked("context:dense=0", scene, {{first, 1}, {second, 1}});
  EXPECT_FLOAT_EQ(score_of(hits, second), 0);
  EXPECT_GT(score_of(hits, first), 0);
}

TEST(Speaker, TheOneNamedOrTheUserWhoAsks) {
  Scene scene;
  const CubeId anns = scene.add(1, "a", "x", "Ann"), bobs = scene.add(2, "a", "x", "Bob"),
               users = scene.add(3, "a", "x", "user");
  const std::vector<Hit> hits{{anns, 0.5f}, {bobs, 0.5f}, {users, 0.5f}};
  EXPECT_EQ(reranked("speaker", scene, hits).front().id, anns);
  scene.question = read_question("what did I say?");
  EXPECT_EQ(reranked("speaker", scene, hits).front().id, users);
  scene.question = read_question("what did Ann and Bob say?");
  EXPECT_FLOAT_EQ(reranked("speaker", scene, hits).front().score, 0.5f);
}

TEST(Answer, AskedWhenATimeAskedHowManyANumber) {
  Scene scene;
  const CubeId dated = scene.add(1, "a", "it was done last week"),
               counted = scene.add(2, "a", "it was done 7 x"),
               asks = scene.add(3, "a", "it was done right well?");
  const std::vector<Hit> hits{{dated, 0.5f}, {counted, 0.5f}, {asks, 0.5f}};
  EXPECT_EQ(reranked("answer", scene, hits).front().id, dated);
  EXPECT_EQ(reranked("answer", scene, hits).back().id, asks);
  scene.question = read_question("how many were done?");
  EXPECT_EQ(reranked("answer", scene, hits).front().id, counted);
}

TEST(Session, AConversationAboutTheQuestionLifts) {
  Scene scene;
  const CubeId about = scene.add(1, "a", "we paint"), beside = scene.add(2, "a", "a lighthouse"),
               alone = scene.add(3, "b", "we paint");
  const auto hits = reranked("session", scene, {{about, 0.5f}, {beside, 0.5f}, {alone, 0.5f}});
  EXPECT_GT(score_of(hits, about), score_of(hits, alone));
}

TEST(Time, WhatHappenedThenOrSoonAfter) {
  Scene scene;
  const CubeId then = scene.add(1, "a", "x"), after = scene.add(2, "a", "x", "Ann", "2023-06-03"),
               before = scene.add(3, "a", "x", "Ann", "2021-06-03");
  const auto hits = reranked("time", scene, {{before, 0.1f}, {after, 0.1f}, {then, 0.1f}});
  EXPECT_EQ(hits[0].id, then);
  EXPECT_EQ(hits[1].id, after);
  EXPECT_NEAR(hits[2].score, 0.1f, 1e-6);
}

// Texts are the likelier the longer they are; a query that begins with "!" finds no model.
class LongIsLikely : public Scorer {
 public:
  Result<std::vector<float>> score(std::string_view query, std::span<const std::string_view> texts) override {
    if (query.starts_with('!')) return Status(Code::cancelled, "busy");
    std::vector<float> scores;
    for (std::string_view text : texts) scores.push_back(float(text.size()) - 100);
    return scores;
  }
};

TEST(Likelihood, TheLikeliestOfTheBestWinsAndAModelThatFailsChangesNothing) {
  Scene scene;
  LongIsLikely scorer;
  const CubeId brief = scene.add(1, "a", "x"), wordy = scene.add(2, "a", "many more words"),
               below = scene.add(3, "a", "the longest words of all of them");
  const std::vector<Hit> before = {{brief, 0.9f}, {wordy, 0.8f}, {CubeId::make(99), 0.7f}, {below, 0.1f}};
  auto made = rerankers().make("likelihood:top=2");
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE((*made)->reads_texts());
  std::vector<Hit> hits = before;
  ASSERT_TRUE((*made)->rerank(scene.asked(scorer), hits).ok());
  ASSERT_EQ(hits.size(), 4u);
  EXPECT_EQ(hits[0].id, wordy);
  EXPECT_EQ(hits[1].id, brief);
  EXPECT_FLOAT_EQ(score_of(hits, below), 0.1f) << "not among the best two that could be read";
  scene.query.text = "!";
  hits = before;
  ASSERT_TRUE((*made)->rerank(scene.asked(scorer), hits).ok());
  EXPECT_EQ(hits[0].id, brief);
}

TEST(Mmr, TheSecondIsUnlikeTheFirst) {
  Scene scene;
  const CubeId one = scene.add(1, "a", "red kite over the hill"),
               twin = scene.add(2, "a", "red kite over the hill");
  CubeHeader header;
  header.id = CubeId::make(3);
  header.space = "s";
  scene.entries.add(header, "blue boat", std::vector<float>{-0.8f, 0.6f});
  const auto hits = reranked("mmr:keep=0.5", scene, {{one, 1}, {twin, 0.95f}, {header.id, 0.6f}});
  EXPECT_EQ(hits[0].id, one);
  EXPECT_EQ(hits[1].id, header.id);
  EXPECT_EQ(reranked("mmr:keep=1", scene, {{one, 1}, {twin, 0.95f}, {header.id, 0.6f}})[1].id, twin);
}

TEST(Feedback, WhatTheBestDocumentsShareLiftsOthersAndTalkIsLeftAlone) {
  Scene scene;
  const CubeId one = scene.add(1, "", "lighthouse beacon harbour"),
               two = scene.add(2, "", "lighthouse beacon"), alike = scene.add(3, "", "beacon harbour"),
               unlike = scene.add(4, "", "apple tree"), said = scene.add(5, "a", "beacon harbour");
  const std::vector<Hit> before{{one, 1}, {two, 0.9f}, {unlike, 0.2f}, {said, 0.2f}, {alike, 0.1f}};
  const auto hits = reranked("feedback:best=2", scene, before);
  EXPECT_GT(score_of(hits, alike), score_of(hits, unlike));
  EXPECT_FLOAT_EQ(score_of(hits, said), 0.2f);
  // A second round goes on from the first.
  EXPECT_GT(score_of(hits, alike), score_of(reranked("feedback:best=2,rounds=1", scene, before), alike));
}

}  // namespace
}  // namespace varve
