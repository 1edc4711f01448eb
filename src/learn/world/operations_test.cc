#include "learn/world/operations.h"

#include <gtest/gtest.h>

#include "learn/world/world.h"
#include "memory/reflect/reflector/scripted_test.h"

namespace varve::world {
namespace {

std::string prompt_in(const Item& item) {
  return item.messages.as_array().front()["content"].as_string();
}

// The shipped reflector is asked, and the model is trained on, the same words.
struct Operations : Reflected {};

TEST_F(Operations, AreTheQuestionsThatTheReflectorReallyAsks) {
  const Turn turn = say("I moved to Rome. I bought a cat.", "How nice!", "2023-05-08");
  ScriptedWriter writer;
  writer.answers = {R"({"facts":["The user lives in Oslo."]})"};
  const auto mem0 = make("mem0");
  ASSERT_TRUE(run(*mem0, turn, &writer).ok());

  const Turn later = say("I live in Rome now.", "Good to know.", "2023-06-08");
  const Item facts = extraction(later, {"The user lives in Rome."});
  const Item change = decision({{"The user lives in Rome.", "update", "The user lives in Oslo."}},
                               {"The user lives in Oslo."});
  writer.answers = {facts.answer, change.answer};
  writer.prompts.clear(), writer.schemas.clear();
  ASSERT_TRUE(run(*mem0, later, &writer).ok());
  ASSERT_EQ(writer.prompts.size(), 2u);
  EXPECT_EQ(writer.prompts[0], prompt_in(facts));
  EXPECT_EQ(writer.schemas[0], facts.schema);
  EXPECT_EQ(writer.prompts[1], prompt_in(change));
  EXPECT_EQ(writer.schemas[1], change.schema);
  const auto now = cubes("fact");
  ASSERT_EQ(now.size(), 1u) << "the right answers are applied: Rome took the place of Oslo";
  EXPECT_EQ(*store->payload(alice, now[0].id), "The user lives in Rome.");
}

// What a new fact meets stands beside it, nearly always as the likest.
TEST(Decisions, WhatAFactMeetsStandsBesideIt) {
  const World world = *World::make("decide", Split::train, 1);
  int met = 0, beside = 0, first = 0;
  for (uint64_t i = 0; i < 400; ++i) {
    const Item item = world.item(i);
    const std::string prompt = prompt_in(item);
    const size_t from = prompt.find("\n{") + 1;
    const Json shown = *parse_json(prompt.substr(from, prompt.find('\n', from) - from));
    const Json right = *parse_json(item.answer);
    for (const Json& one : right["decisions"].as_array()) {
      if (one["action"] == Json("add")) continue;
      const Json& known = shown["new"].as_array()[size_t(one["fact"].as_int())]["known"];
      for (size_t k = 0; k < known.size(); ++k) {
        const bool same = known.as_array()[k]["target"] == one["target"];
        beside += same;
        first += same && k == 0;
      }
      ++met;
    }
  }
  ASSERT_GT(met, 200);
  EXPECT_GE(beside, met * 99 / 100);
  EXPECT_GE(first, met * 95 / 100);
}

}  // namespace
}  // namespace varve::world
