#include "memory/recall/query/porter.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

// The paper's own examples.
TEST(Porter, StemsThePapersExamples) {
  const std::pair<const char*, const char*> cases[] = {
      {"caresses", "caress"},  {"ponies", "poni"},        {"cats", "cat"},         {"feed", "feed"},
      {"agreed", "agre"},      {"plastered", "plaster"},  {"motoring", "motor"},   {"conflated", "conflat"},
      {"hopping", "hop"},      {"falling", "fall"},       {"filing", "file"},      {"happy", "happi"},
      {"relational", "relat"}, {"conditional", "condit"}, {"digitizer", "digit"},  {"triplicate", "triplic"},
      {"hopeful", "hope"},     {"goodness", "good"},      {"revival", "reviv"},    {"adoption", "adopt"},
      {"probate", "probat"},   {"rate", "rate"},          {"controll", "control"}, {"sky", "sky"}};
  for (const auto& [word, stem] : cases) EXPECT_EQ(porter_stem(word), stem) << word;
}

TEST(Porter, LeavesOtherThingsAlone) {
  for (const char* word : {"", "a", "2024", "h2o", "yyyyyyyyyyyy"})
    EXPECT_FALSE(porter_stem(word).size() > std::string(word).size());
  EXPECT_EQ(porter_stem("h2o"), "h2o");
}

}  // namespace
}  // namespace varve
