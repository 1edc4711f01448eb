#include <gtest/gtest.h>

#include "learn/world/score.h"
#include "learn/world/world.h"

namespace varve::world {
namespace {

TEST(Kinds, EachMakesItsOwnInBothSplits) {
  for (const auto& entry : kinds().entries()) {
    for (const Split split : {Split::train, Split::eval}) {
      const auto world = World::make(entry.name, split, 2);
      ASSERT_TRUE(world.ok()) << entry.name;
      for (uint64_t i = 0; i < 30; ++i) EXPECT_EQ(world->item(i).kind, entry.name);
    }
    EXPECT_FALSE(kinds().make(std::string(entry.name) + ":no_such_option=1").ok()) << entry.name;
  }
}

TEST(Kinds, TheAnswerOfARecallStandsInTheConversation) {
  for (const char* kind : {"single", "distract", "two_hop", "update", "before", "who", "chat", "needle"}) {
    const auto world = World::make(kind, Split::eval, 4);
    ASSERT_TRUE(world.ok());
    for (uint64_t i = 0; i < 60; ++i) {
      const Item item = world->item(i);
      std::string shown;
      for (size_t m = 0; m + 1 < item.messages.size(); ++m)
        shown += item.messages.as_array()[m]["content"].as_string() + "\n";
      const bool self = item.answer == "you" || item.answer == "your" || item.answer.starts_with("your ");
      const bool day = item.answer.ends_with("20") || item.answer.find(" 20") != item.answer.npos;
      EXPECT_TRUE(self || day || item.answer == "unknown" || names(shown, item.answer))
          << kind << ": " << item.answer << "\n"
          << shown;
    }
  }
}

TEST(Kinds, ACrowdOfHundredsStillHasOneAnswer) {
  for (const Split split : {Split::train, Split::eval}) {
    const auto world = World::make("distract:memories=200+who:memories=60", split, 9);
    ASSERT_TRUE(world.ok());
    for (uint64_t i = 0; i < 12; ++i) {
      const Item item = world->item(i);
      EXPECT_TRUE(is_right(item, item.reply())) << item.reply();
    }
  }
}

TEST(Kinds, AnUpdateHidesTheOldValueAmongWhatIsWrong) {
  const auto world = World::make("update:memories=0", Split::eval, 4);
  ASSERT_TRUE(world.ok());
  for (uint64_t i = 0; i < 60; ++i) {
    const Item item = world->item(i);
    EXPECT_GE(item.wrong.size(), 1u) << item.reply();
  }
}

TEST(Kinds, ANeedleIsAsFarAwayAsIsAskedFor) {
  const auto world = World::make("needle:bytes=14000", Split::eval, 4);
  ASSERT_TRUE(world.ok());
  for (uint64_t i = 0; i < 10; ++i) {
    size_t bytes = 0;
    const Item item = world->item(i);
    for (const Json& one : item.messages.as_array()) bytes += one["content"].as_string().size();
    EXPECT_GT(bytes, 11000u);
    EXPECT_LT(bytes, 17000u);
  }
}

}  // namespace
}  // namespace varve::world
