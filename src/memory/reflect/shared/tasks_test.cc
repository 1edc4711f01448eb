#include "memory/reflect/shared/tasks.h"

#include "memory/reflect/reflector/scripted_test.h"

namespace varve {
namespace {

using TasksTest = Reflected;

TEST_F(TasksTest, ThePromptShowsTheActivePathAlone) {
  const auto tme = make("tme");
  ScriptedWriter writer;
  writer.answers = {
      R"({"changes": [{"place": -1, "under": -1, "task": "Plan the trip", "status": "open", "needs": []},
                      {"place": -1, "under": -1, "task": "Write the report", "status": "open", "needs": []}]})",
      R"({"changes": [{"place": 0, "under": -1, "task": "", "status": "active", "needs": []},
                      {"place": -1, "under": 0, "task": "Book a flight", "status": "done", "needs": []},
                      {"place": -1, "under": 0, "task": "Book a hotel", "status": "active", "needs": []}]})"};
  ASSERT_TRUE(run(*tme, say("A trip and a report.", "Fine."), &writer).ok());
  ASSERT_TRUE(run(*tme, say("First the trip; the flight is booked.", "And the hotel?"), &writer).ok());
  EXPECT_EQ(words("tme.view"),
            std::vector<std::string>{
                "1 Plan the trip (open)\n  1.1 Book a flight (done)\n  1.2 Book a hotel (active)"});
  EXPECT_EQ(cubes("tme.task").size(), 4u);
  EXPECT_EQ(cubes("tme.view")[0].version, 2u);
}

TEST_F(TasksTest, AStepThatChangesMakesWhatNeededItToBeLookedAtAgain) {
  const auto tme = make("tme:dag=1");
  ScriptedWriter writer;
  writer.answers = {
      R"({"changes": [{"place": -1, "under": -1, "task": "Choose dates", "status": "done", "needs": []}]})",
      R"({"changes": [{"place": -1, "under": -1, "task": "Book a flight", "status": "done", "needs": [0]}]})",
      R"({"changes": [{"place": -1, "under": -1, "task": "Book a hotel", "status": "done", "needs": [1]}]})",
      R"({"changes": [{"place": 0, "under": -1, "task": "Choose dates in June", "status": "done", "needs": [2]}]})"};
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(run(*tme, say("Step " + std::to_string(i)), &writer).ok());
  EXPECT_EQ(words("tme.task"),
            (std::vector<std::string>{"Task: Choose dates in June\nStatus: done",  // and no circle
                                      "Task: Book a flight\nStatus: recheck\nNeeds: 1",
                                      "Task: Book a hotel\nStatus: recheck\nNeeds: 2"}));
  EXPECT_EQ(words("tme.view"),
            std::vector<std::string>{"1 Choose dates in June (done)\n2 Book a flight (recheck; needs 1)"});
}

TEST_F(TasksTest, BoxesAreReadWithoutAWriter) {
  const auto tme = make("tme");
  ASSERT_TRUE(run(*tme, say("- [ ] buy clay\n- [ ] book the kiln")).ok());
  ASSERT_TRUE(run(*tme, say("- [x] buy clay")).ok());
  EXPECT_EQ(words("tme.task"),
            (std::vector<std::string>{"Task: buy clay\nStatus: done", "Task: book the kiln\nStatus: open"}));
  EXPECT_EQ(words("tme.view"), std::vector<std::string>{"2 book the kiln (open)"});
}

}  // namespace
}  // namespace varve
