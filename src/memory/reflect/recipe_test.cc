#include "memory/reflect/recipe.h"

#include "memory/recall/recipe.h"
#include "memory/reflect/reflector/scripted_test.h"

namespace varve {
namespace {

TEST(MemoryRecipe, EachNamesMethodsThatAreThere) {
  for (const MemoryRecipe& one : memory_recipes()) {
    EXPECT_TRUE(make_reflectors(one.reflectors).ok()) << one.name;
    EXPECT_TRUE(make_recipe(one.recall, {}).ok()) << one.name;
    EXPECT_GT(one.recall_tokens, 0);
    EXPECT_EQ(find_memory_recipe("recipe:" + std::string(one.name))->name, one.name);
  }
  EXPECT_EQ(find_memory_recipe("soup").code(), Code::not_found);
}

using RecipeTest = Reflected;

TEST_F(RecipeTest, WhatIsDerivedLeadsToWhatWasSaid) {
  recall.reset();
  recall = std::move(Recall::make("bm25+lineage:down=2", *store, nullptr, ledger, clock)).value();
  const auto memgas = make("memgas:segment=1");
  ScriptedWriter writer;
  writer.answers = {R"({"summary": "Ann's feline needs a veterinarian.", "keywords": ["cat"]})"};
  const Turn turn = say("Tom limps.");
  ASSERT_TRUE(run(*memgas, turn, &writer).ok());
  const auto found = *recall->gather(alice, {.text = "veterinarian"});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].header.id, *turn.user_cube);
}

TEST_F(RecipeTest, TheSurerGranularityWeighsMore) {
  recall.reset();
  recall = std::move(Recall::make("bm25+entropy", *store, nullptr, ledger, clock)).value();
  const auto memgas = make("memgas:segment=1");
  ScriptedWriter writer;
  const char* summaries[] = {"a heron", "a robin", "an owl"};
  Turn heron;
  for (const char* summary : summaries) {
    writer.answers = {R"({"summary": ")" + std::string(summary) + R"(", "keywords": ["bird", "wings"]})"};
    const Turn turn = say("It has a long beak, seen by " + session);
    if (summary == summaries[0]) heron = turn;
    ASSERT_TRUE(run(*memgas, turn, &writer).ok());
  }
  const auto found = *recall->gather(alice, {.text = "which bird with wings was a heron"});
  ASSERT_FALSE(found.empty());
  std::vector<CubeId> turns;
  for (const Recalled& one : found) {
    if (one.header.kind == "turn") turns.push_back(one.header.id);
  }
  ASSERT_FALSE(turns.empty());
  EXPECT_EQ(turns[0], *heron.user_cube) << "key words are alike in all three, the summary is not";
}

}  // namespace
}  // namespace varve
