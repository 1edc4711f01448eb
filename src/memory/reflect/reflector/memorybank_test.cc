#include "memory/reflect/reflector/scripted_test.h"

namespace varve {
namespace {

using MemoryBankTest = Reflected;

std::string lines(const std::string& line) {
  return R"({"lines": [")" + line + "\"]}";
}

TEST_F(MemoryBankTest, ADayHasOneSummaryAndTheNextDayDrawsThePortrait) {
  const auto bank = make("memorybank");
  ScriptedWriter writer;
  writer.answers = {lines("Ann bought clay."), lines("Ann bought clay and a wheel."),
                    lines("Ann fired a pot."), lines("Ann makes pottery.")};
  ASSERT_TRUE(run(*bank, say("I bought clay.", "", "2023-05-08T09:00"), &writer).ok());
  ASSERT_TRUE(run(*bank, say("And a wheel.", "", "2023-05-08T18:00"), &writer).ok());
  EXPECT_TRUE(cubes("memorybank.portrait").empty());
  ASSERT_TRUE(run(*bank, say("I fired a pot.", "", "2023-05-10"), &writer).ok());
  EXPECT_EQ(words("memorybank.day"),
            (std::vector<std::string>{"Ann bought clay and a wheel.", "Ann fired a pot."}));
  const auto days = cubes("memorybank.day");
  EXPECT_EQ(days[0].title, "2023-05-08");
  EXPECT_EQ(days[0].version, 2u);
  EXPECT_EQ(words("memorybank.portrait"), std::vector<std::string>{"Ann makes pottery."});
  EXPECT_EQ(cubes("memorybank.portrait")[0].from[0].cube, days[0].id);
}

TEST_F(MemoryBankTest, RetentionArchivesAnOldDayUnlessItWasRecalled) {
  const auto bank = make("memorybank:least=0.1");  // R = exp(-t/5) < 0.1 from 11.5 days on
  ASSERT_TRUE(run(*bank, say("The boiler was repaired.", "", "2023-05-01")).ok());
  ASSERT_TRUE(run(*bank, say("The garden was planted.", "", "2023-05-02")).ok());
  const auto days = cubes("memorybank.day");
  ASSERT_EQ(days.size(), 2u);
  clock.time = *parse_time("2023-05-10");
  Turn turn = say("And the garden?", "", "2023-05-10");
  turn.recalled = {{.header = days[1], .text = "x"}};
  ASSERT_TRUE(run(*bank, turn).ok());
  EXPECT_EQ(cubes("memorybank.day").size(), 3u) << "nine days: 0.16";
  ASSERT_TRUE(run(*bank, say("Snow fell.", "", "2023-05-18")).ok());
  EXPECT_EQ(store->head(alice, days[0].id)->life, Life::archived) << "17 days: 0.03";
  EXPECT_EQ(store->head(alice, days[1].id)->life, Life::active) << "8 days at strength 2: 0.45";
  EXPECT_EQ(cubes("turn").size(), 4u) << "evidence does not fade";
  ASSERT_TRUE(store->advance(alice, days[0].id, Life::active, "wanted back").ok());
  EXPECT_EQ(*store->payload(alice, days[0].id), "user: The boiler was repaired.");
}

}  // namespace
}  // namespace varve
