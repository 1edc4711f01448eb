#include "memory/recall/query/aggregate.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

using Kind = AggregatePlan::Kind;
using Group = AggregatePlan::Group;

TEST(Aggregate, QuestionsAboutAllMemoriesAreTold) {
  const auto plan = [](std::string_view text) { return read_aggregate(text, 0); };
  ASSERT_TRUE(plan("How many times did I go to the gym in 2023?").has_value());
  EXPECT_EQ(plan("How many times did I go to the gym in 2023?")->kind, Kind::count);
  EXPECT_EQ(plan("How many times did I go to the gym in 2023?")->words, "gym");
  EXPECT_TRUE(plan("How many times did I go to the gym in 2023?")->by_asker);
  EXPECT_EQ(plan("When did we first talk about sailing?")->kind, Kind::first);
  EXPECT_EQ(plan("the last three notes on bread")->kind, Kind::last);
  EXPECT_EQ(plan("the last three notes on bread")->k, 3);
  EXPECT_EQ(plan("Who talked most often about bread?")->group, Group::speaker);
  EXPECT_EQ(plan("In which month did I mention bread the most?")->group, Group::month);
  EXPECT_EQ(plan("List all memories of bread by date")->kind, Kind::list);
}

TEST(Aggregate, OtherQuestionsAreNot) {
  for (const char* text : {"What is Ann's most recent painting of?", "How many children does Ann have?",
                           "What did Ann do last week?", "first of all, hello", "", "how often?",
                           "Which dog did she like the most?"}) {
    EXPECT_FALSE(read_aggregate(text, 0).has_value()) << text;
  }
}

class Counted : public testing::Test {
 protected:
  void SetUp() override {
    add("Ann", "2023-01-05", "I baked bread");
    add("Bob", "2023-01-09", "bread again");
    add("Ann", "2023-03-02", "rye bread, the best bread");
    add("Ann", "2023-03-03", "no cake");
    add("Ann", "2021-03-03", "bread of old");
  }
  void add(const std::string& speaker, const std::string& date, const std::string& words) {
    CubeHeader header;
    header.id = CubeId::make(1000 + int64_t(ids.size()));
    header.space = "s";
    header.session = date;
    header.speaker = speaker;
    header.event = *parse_time(date);
    entries.add(header, words, {});
    ids.push_back(header.id);
    slots.push_back(entries.find(header.id));
  }
  Aggregate ask(std::string_view text) {
    const auto plan = read_aggregate(text, 0);
    EXPECT_TRUE(plan.has_value()) << text;
    return plan ? run_aggregate(*plan, entries, slots) : Aggregate();
  }
  Entries entries;
  std::vector<CubeId> ids;
  std::vector<uint32_t> slots;
};

TEST_F(Counted, CountsAreOfAllThatMatch) {
  EXPECT_EQ(ask("how often was bread mentioned?").count, 4);
  EXPECT_EQ(ask("how often was bread mentioned in 2023?").count, 3);
  EXPECT_EQ(ask("how often did Ann mention bread?").count, 3);
  EXPECT_EQ(ask("how often was plum bread mentioned?").count, 0);
}

TEST_F(Counted, FirstLastAndOrderGoByDate) {
  EXPECT_EQ(ask("when was bread first mentioned?").cubes, std::vector<CubeId>{ids[4]});
  EXPECT_EQ(ask("the last two mentions of bread").cubes, (std::vector<CubeId>{ids[2], ids[1]}));
  EXPECT_EQ(ask("list all notes on bread by date").cubes,
            (std::vector<CubeId>{ids[4], ids[0], ids[1], ids[2]}));
}

TEST_F(Counted, TheMostAreGroups) {
  const auto who = ask("who spoke most often of bread?");
  ASSERT_EQ(who.groups.size(), 2u);
  EXPECT_EQ(who.groups[0], (std::pair<std::string, int64_t>("Ann", 3)));
  EXPECT_EQ(ask("in which month was bread mentioned the most?").groups[0].first, "2023-01");
}

}  // namespace
}  // namespace varve
