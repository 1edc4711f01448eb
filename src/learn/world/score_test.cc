#include "learn/world/score.h"

#include <gtest/gtest.h>

#include "learn/world/world.h"

namespace varve::world {
namespace {

// How many of 200 items an answerer gets right.
template <class Answerer>
Tally asked(std::string_view kind, Answerer answerer) {
  const auto world = World::make(kind, Split::eval, 5);
  EXPECT_TRUE(world.ok());
  Tally tally;
  for (uint64_t i = 0; i < 200; ++i) {
    const Item item = world->item(i);
    tally.count(is_right(item, answerer(item)));
  }
  return tally;
}

TEST(Score, WhoAnswersWithTheGoldGetsEverything) {
  for (const auto& kind : kinds().entries()) {
    if (kind.name == "prose") continue;
    EXPECT_EQ(asked(kind.name, [](const Item& item) { return item.reply(); }).right, 200) << kind.name;
  }
}

TEST(Score, WhoNamesAValueOfAnotherMemoryGetsNothing) {
  const auto distracted = [](const Item& item) {
    return item.reply() + " " + (item.wrong.empty() ? "" : item.wrong.back());
  };
  for (const char* kind : {"distract", "two_hop:memories=5", "update", "before", "several:memories=3"})
    EXPECT_EQ(asked(kind, distracted).right, 0) << kind;
}

TEST(Score, WhoNeverKnowsIsRightOnlyWhereNothingIsKnown) {
  const auto ignorant = [](const Item&) { return std::string("I do not know."); };
  EXPECT_EQ(asked("unknown", ignorant).right, 200);
  for (const char* kind : {"single", "distract", "update", "two_hop", "who", "needle:bytes=2000"})
    EXPECT_EQ(asked(kind, ignorant).right, 0) << kind;
}

TEST(Score, WhoSaysTheOldValueIsWrongAndInTheOtherQuestionRight) {
  Item item;
  item.answer = "Rome";
  item.wrong = {"Oslo"};
  EXPECT_TRUE(is_right(item, "You live in Rome."));
  EXPECT_TRUE(is_right(item, "rome"));
  EXPECT_FALSE(is_right(item, "You live in Oslo."));
  EXPECT_FALSE(is_right(item, "You moved from Oslo to Rome."));
  EXPECT_FALSE(is_right(item, "You live in Romeo."));
  EXPECT_FALSE(is_right(item, ""));
  item.answer = "no";
  EXPECT_TRUE(is_right(item, "No, you don't."));
  EXPECT_FALSE(is_right(item, "Nothing."));
  item.answer = "unknown";
  EXPECT_TRUE(is_right(item, "I don't know where you live."));
  EXPECT_FALSE(is_right(item, "I don't know, maybe Oslo."));
}

TEST(Score, OperationsAreComparedAsValues) {
  Item item;
  item.schema = "{}";
  item.answer = R"({"facts":["The user lives in Rome.","Anna is 30 years old."]})";
  EXPECT_TRUE(is_right(item, R"({ "facts": ["anna is 30 years old.", "The user lives in Rome"] })"));
  EXPECT_FALSE(is_right(item, R"({"facts":["The user lives in Rome."]})"));
  EXPECT_TRUE(is_valid_operation(item, R"({"facts":[]})"));
  EXPECT_FALSE(is_valid_operation(item, R"({"facts":["The user)"));
  EXPECT_FALSE(is_valid_operation(item, R"({"fact":[]})"));
  item.answer = R"({"decisions":[{"fact":0,"action":"add","target":-1}]})";
  EXPECT_TRUE(is_right(item, R"({"decisions":[{"target":-1,"action":"add","fact":0}]})"));
  EXPECT_FALSE(is_right(item, R"({"decisions":[{"fact":0,"action":"keep","target":0}]})"));
}

TEST(Score, DecisionsAreCountedOneByOne) {
  Item item;
  item.answer =
      R"({"decisions":[{"fact":0,"action":"add","target":-1},{"fact":1,"action":"keep","target":2}]})";
  const Tally half = decided(item, R"({"decisions":[{"fact":1,"action":"keep","target":2}]})");
  EXPECT_EQ(half.right, 1);
  EXPECT_EQ(half.asked, 2);
  EXPECT_EQ(decided(item, item.answer).right, 2);
  EXPECT_EQ(decided(item, "nothing").right, 0);
}

TEST(Score, AnIntervalHoldsItsShare) {
  const Interval all = wilson({100, 100}), half = wilson({50, 100});
  EXPECT_NEAR(all.low, 0.963, 0.001);
  EXPECT_EQ(all.high, 1);
  EXPECT_NEAR(half.low, 0.404, 0.001);
  EXPECT_NEAR(half.high, 0.596, 0.001);
}

}  // namespace
}  // namespace varve::world
