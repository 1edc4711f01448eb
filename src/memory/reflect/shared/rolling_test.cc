#include "memory/reflect/shared/rolling.h"

#include "memory/reflect/reflector/scripted_test.h"

namespace varve {
namespace {

using RollingTest = Reflected;

TEST_F(RollingTest, Mem1KeepsOneBoundedStateOfEachConversation) {
  const auto mem1 = make("mem1:lines=2");
  ScriptedWriter writer;
  writer.answers = {R"({"lines": ["Wants a flight to Oslo."]})",
                    R"({"lines": ["Wants a flight to Oslo on 3 June.", ""]})"};
  ASSERT_TRUE(run(*mem1, say("A flight to Oslo."), &writer).ok());
  ASSERT_TRUE(run(*mem1, say("On the third of June."), &writer).ok());
  EXPECT_EQ(words("mem1.state"), std::vector<std::string>{"Wants a flight to Oslo on 3 June."});
  EXPECT_EQ(cubes("mem1.state")[0].version, 2u);
  EXPECT_NE(writer.prompts[1].find("Wants a flight to Oslo."), std::string::npos);
  EXPECT_EQ(writer.prompts[1].find("A flight to Oslo."), std::string::npos)
      << "older turns are not read again";
  EXPECT_EQ(cubes("turn").size(), 2u);
  session = "s2";
  for (int i = 0; i < 40; ++i)
    ASSERT_TRUE(run(*mem1, say("Remark " + std::to_string(i) + " on the weather of Bergen in May.")).ok());
  EXPECT_EQ(cubes("mem1.state").size(), 2u);
  EXPECT_LE(words("mem1.state")[1].size(), 200u);
}

TEST_F(RollingTest, InftyThinkSumsUpBySegments) {
  const auto thinker = make("inftythink:segment=2");
  ScriptedWriter writer;
  writer.answers = {R"({"lines": ["x is 3 and y is 4."]})", R"({"lines": ["The distance is 5."]})"};
  const char* steps[] = {"Let x be 3.", "Let y be 4.", "Square and add.", "Take the root.", "Now z."};
  for (const char* step : steps) ASSERT_TRUE(run(*thinker, say(step), &writer).ok());
  ASSERT_EQ(writer.prompts.size(), 2u);
  EXPECT_NE(writer.prompts[0].find("Let x be 3."), std::string::npos);
  EXPECT_NE(writer.prompts[1].find("x is 3 and y is 4."), std::string::npos);
  EXPECT_EQ(writer.prompts[1].find("Let x be 3."), std::string::npos);
  EXPECT_EQ(words("inftythink.state"), std::vector<std::string>{"The distance is 5."});
  EXPECT_EQ(cubes("inftythink.state")[0].from.size(), 2u) << "every turn of the segment";
}

}  // namespace
}  // namespace varve
