#include "run/embed/likelihood.h"

#include <algorithm>
#include <future>

#include "run/embed/engine_rig_test.h"
#include "tests/support/shared.h"

namespace varve {
namespace {

using Texts = std::vector<std::string_view>;

std::vector<float> scores(Scorer& scorer, std::string_view query, const Texts& texts) {
  auto scored = scorer.score(query, texts);
  EXPECT_TRUE(scored.ok()) << std::move(scored).status().text();
  return scored.ok() ? std::move(*scored) : std::vector<float>(texts.size());
}

TEST(Likelihood, ATextOfWhichTheQueryIsTheContinuationWins) {
  NEED_SHARED("data/models/tinyllamas/stories260K.gguf");
  EngineRig rig(shared_path("data/models/tinyllamas/stories260K.gguf"));
  const auto scorer = make_likelihood_scorer(*rig.engine).value();
  struct Case {
    std::string_view text, query;
  };
  const Case cases[] = {
      {"Lily had a big red ball. She loved her ball.", "Lily played with her red ball."},
      {"Tom was a small dog. Tom the dog liked to run in the park.", "The dog Tom ran in the park."},
      {"The bird was sad. It could not fly to its nest in the tree.", "The bird wanted to fly to the tree."},
      {"Mom made a cake. The cake was very good and sweet.", "They ate the sweet cake."},
  };
  for (const Case& asked : cases) {
    Texts texts;
    for (const Case& one : cases) texts.push_back(one.text);
    const auto found = scores(*scorer, asked.query, texts);
    const size_t best = size_t(std::max_element(found.begin(), found.end()) - found.begin());
    EXPECT_EQ(texts[best], asked.text) << asked.query;
  }
}

TEST(Likelihood, ScoresDoNotDependOnWhatIsScoredBeside) {
  for (int32_t rows : {8, 256}) {
    EngineRig rig("", {.chunk_rows = rows, .threads = 1});
    const auto scorer = make_likelihood_scorer(*rig.engine).value();
    const Texts texts = {"the name", "", "your assistant is here and waits for what you say", "two\n\nlines"};
    const auto together = scores(*scorer, "what is the name?", texts);
    ASSERT_EQ(together.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_LT(together[i], 0);
      EXPECT_EQ(scores(*scorer, "what is the name?", {texts[i]}), std::vector<float>{together[i]}) << i;
    }
    EXPECT_EQ(rig.engine->stats().generated_tokens, 0);
    EXPECT_GT(rig.engine->stats().prefill_tokens_saved, 0) << "what is before all texts is computed once";
    EXPECT_EQ(rig.ledger.used(Tag::kv), rig.engine->stats().prefix_bytes);
    EXPECT_EQ(rig.ledger.used(Tag::io), 0);
  }
}

TEST(Likelihood, ReadsOnlySoMuchOfTextsAndQueries) {
  EngineRig rig;
  const auto scorer =
      make_likelihood_scorer(*rig.engine, {.text_tokens = 20, .query_tokens = 10, .texts = 3}).value();
  const std::string text(1 << 20, 'x'), beginning(20, 'x'), query(100000, 'q'), start(10, 'q');
  std::vector<Token> exactly;
  rig.engine->model().tokenizer()->encode(beginning, false, exactly);
  ASSERT_EQ(exactly.size(), 20u);
  EXPECT_EQ(scores(*scorer, query, {text}), scores(*scorer, start, {beginning}));
  EXPECT_EQ(scorer->score("q", Texts(4)).code(), Code::invalid);
  EXPECT_EQ(scores(*scorer, "q", {}).size(), 0u);
  EXPECT_EQ(scores(*scorer, "", {"a", "b"}), (std::vector<float>{0, 0}));
}

TEST(Likelihood, EndsWhenItTakesTooLongOrTheEngineGoes) {
  EngineRig rig("", {.chunk_rows = 1, .threads = 1});
  const std::string text(2000, 'x');
  const auto hasty = make_likelihood_scorer(*rig.engine, {.text_tokens = 1500, .most_ms = 1}).value();
  EXPECT_EQ(hasty->score("q", Texts(8, text)).code(), Code::cancelled);
  EXPECT_EQ(rig.engine->stats().running + rig.engine->stats().waiting, 0);
  EXPECT_EQ(rig.ledger.used(Tag::io), 0);
  const auto patient = make_likelihood_scorer(*rig.engine, {.text_tokens = 1500}).value();
  auto asked = std::async(std::launch::async, [&] { return patient->score("q", Texts(16, text)).code(); });
  const auto accepted = [&] { return rig.engine->stats().running + rig.engine->stats().waiting; };
  while (accepted() < 16) std::this_thread::yield();  // an engine that is asked must not go
  rig.engine.reset();
  EXPECT_EQ(asked.get(), Code::cancelled);
}

}  // namespace
}  // namespace varve
