#include "memory/reflect/reflector/scripted_test.h"

namespace varve {
namespace {

using TiMTest = Reflected;

std::string thought(const char* head, const char* relation, const char* tail) {
  return R"({"thoughts": [{"head": ")" + std::string(head) + R"(", "relation": ")" + relation +
         R"(", "tail": ")" + tail + "\"}]}";
}

TEST_F(TiMTest, WithinABucketThoughtsAreInsertedReplacedAndMerged) {
  const auto tim = make("tim:bits=0");  // one bucket
  ScriptedWriter writer;
  writer.answers = {thought("Ann", "lives in", "Berlin")};
  ASSERT_TRUE(run(*tim, say("I live in Berlin."), &writer).ok());
  writer.answers = {thought("Ann", "lives in", "Paris"),
                    R"({"decisions": [{"thought": 0, "action": "replace", "target": 0, "text": ""}]})"};
  const Turn moved = say("I moved to Paris.", "", "2023-06-01");
  ASSERT_TRUE(run(*tim, moved, &writer).ok());
  EXPECT_EQ(words("tim.thought"), std::vector<std::string>{"Ann lives in Paris"});
  writer.answers = {thought("Ann", "works in", "Paris"),
                    R"({"decisions": [{"thought": 0, "action": "merge", "target": 0,
                                       "text": "Ann lives and works in Paris"}]})"};
  ASSERT_TRUE(run(*tim, say("I work here, too.", "", "2023-06-02"), &writer).ok());
  EXPECT_EQ(words("tim.thought"), std::vector<std::string>{"Ann lives and works in Paris"});
  EXPECT_EQ(cubes("tim.thought")[0].from.size(), 2u) << "the turn, and the thought it was merged with";

  ASSERT_TRUE(store->erase(alice, *moved.user_cube, "").ok());
  EXPECT_EQ(words("tim.thought"), std::vector<std::string>{"Ann lives in Berlin"})
      << "nothing replaces it now";
}

TEST_F(TiMTest, OnlyThoughtsOfTheSameBucketAreCompared) {
  const auto tim = make("tim:bits=16");
  ScriptedWriter writer;
  writer.answers = {thought("Ann", "likes", "tea")};
  ASSERT_TRUE(run(*tim, say("Tea, please."), &writer).ok());
  writer.answers = {thought("volcanoes", "erupt in", "Iceland")};
  ASSERT_TRUE(run(*tim, say("A volcano!"), &writer).ok());
  EXPECT_EQ(writer.prompts.size(), 2u) << "nothing to decide in an empty bucket";
  EXPECT_EQ(cubes("tim.thought").size(), 2u);
  writer.answers = {thought("Ann", "likes", "tea"),
                    R"({"decisions": [{"thought": 0, "action": "same", "target": 0, "text": ""}]})"};
  ASSERT_TRUE(run(*tim, say("More tea."), &writer).ok());
  EXPECT_EQ(writer.prompts.size(), 4u);
  EXPECT_EQ(cubes("tim.thought").size(), 2u);
}

TEST_F(TiMTest, WhatWasSaidEarlierReplacesNothingSaidLater) {
  const auto tim = make("tim:bits=0");
  ScriptedWriter writer;
  writer.answers = {thought("Ann", "lives in", "Paris"), thought("Ann", "lives in", "Berlin"),
                    R"({"decisions": [{"thought": 0, "action": "replace", "target": 0, "text": ""}]})"};
  ASSERT_TRUE(run(*tim, say("I live in Paris.", "", "2023-06-01"), &writer).ok());
  ASSERT_TRUE(run(*tim, say("I live in Berlin.", "", "2020-06-01"), &writer).ok());
  EXPECT_EQ(words("tim.thought"), std::vector<std::string>{"Ann lives in Paris"});
}

}  // namespace
}  // namespace varve
