#include "memory/reflect/shared/playbook.h"

#include "memory/reflect/reflector/scripted_test.h"

namespace varve {
namespace {

class PlaybookTest : public Reflected {
 protected:
  Recalled seen(const CubeHeader& header) { return {header, *store->payload(alice, header.id)}; }
};

TEST_F(PlaybookTest, TheCheatsheetIsOneNoteRewritten) {
  const auto sheet = make("cheatsheet");
  ScriptedWriter writer;
  writer.answers = {R"({"items": [{"text": "Game of 24: try all orders by program.", "uses": 1}]})",
                    R"({"items": [{"text": "Game of 24: try all orders by program.", "uses": 2},
                                  {"text": "Check units.", "uses": 1}]})",
                    R"({"items": []})"};
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(
        run(*sheet, say("Make 24 from 4 7 8 8, round " + std::to_string(i), "(7-8/8)*4"), &writer).ok());
  EXPECT_EQ(
      words("cheatsheet.sheet"),
      std::vector<std::string>{"Game of 24: try all orders by program. (used 2)\nCheck units. (used 1)"});
  EXPECT_EQ(cubes("cheatsheet.sheet")[0].version, 2u) << "an empty sheet does not take its place";
  EXPECT_NE(writer.prompts[1].find("(used 1)"), std::string::npos);
}

TEST_F(PlaybookTest, AConceptOfKnownTitleIsRevised) {
  const auto arcmemo = make("arcmemo");
  ScriptedWriter writer;
  writer.answers = {
      R"({"concepts": [{"title": "Symmetry", "situation": "a grid repeats", "suggestion": "mirror it"}], "helped": []})",
      R"({"concepts": [{"title": "Symmetry", "situation": "a grid repeats", "suggestion": "mirror or turn it"}], "helped": [0]})"};
  ASSERT_TRUE(run(*arcmemo, say("Solve the grid that repeats", "done"), &writer).ok());
  ASSERT_TRUE(run(*arcmemo, say("Another grid that repeats", "done"), &writer).ok());
  EXPECT_EQ(words("arcmemo.concept"),
            std::vector<std::string>{"Concept: Symmetry\nWhen: a grid repeats\nThen: mirror or turn it"});
  EXPECT_EQ(cubes("arcmemo.concept")[0].version, 2u);
}

TEST_F(PlaybookTest, AnExperienceThatDoesNotHelpIsArchivedByItsMeasuredUse) {
  const auto reme = make("reme:trials=3");
  ScriptedWriter writer;
  writer.answers = {
      R"({"outcome": "failure", "experiences": [{"when": "the build fails", "advice": "delete the folder"}], "helped": []})"};
  ASSERT_TRUE(run(*reme, say("The build fails", "Delete it."), &writer).ok());
  ASSERT_EQ(words("reme.experience"),
            std::vector<std::string>{"When: the build fails\nAvoid: delete the folder"});
  const CubeHeader experience = cubes("reme.experience")[0];
  const char* outcomes[] = {R"({"outcome": "success", "experiences": [], "helped": [0]})",
                            R"({"outcome": "unclear", "experiences": [], "helped": []})",
                            R"({"outcome": "failure", "experiences": [], "helped": [0]})",
                            R"({"outcome": "success", "experiences": [], "helped": []})"};
  for (const char* outcome : outcomes) {
    EXPECT_EQ(cubes("reme.experience").size(), 1u);
    Turn turn = say("The build fails again", "Try this.");
    turn.recalled = {seen(experience)};
    writer.answers = {outcome};
    ASSERT_TRUE(run(*reme, turn, &writer).ok());
  }
  const Uses usage = *usage_of(*store, alice, experience.id);
  EXPECT_EQ(usage.used, 3);
  EXPECT_EQ(usage.helped, 1);
  EXPECT_TRUE(cubes("reme.experience").empty());
  EXPECT_EQ(store->head(alice, experience.id)->life, Life::archived);
}

TEST_F(PlaybookTest, TheSameExperienceIsNotKeptTwice) {
  const auto reme = make("reme");
  ScriptedWriter writer;
  const char* again =
      R"({"outcome": "success", "experiences": [{"when": "the build fails", "advice": "read the first error"},
          {"when": "the build fails", "advice": "read the first error"}], "helped": []})";
  writer.answers = {again, again};
  ASSERT_TRUE(run(*reme, say("The build fails", "Read the error."), &writer).ok());
  ASSERT_TRUE(run(*reme, say("The build fails anew", "Read the error."), &writer).ok());
  EXPECT_EQ(cubes("reme.experience").size(), 1u);
}

TEST_F(PlaybookTest, FeedbackFromOutsideCountsAndOnEvidenceIsRefused) {
  const auto reme = make("reme");
  ScriptedWriter writer;
  writer.answers = {R"({"outcome": "success", "experiences": [{"when": "w", "advice": "a"}], "helped": []})"};
  const Turn turn = say("Do it", "Done.");
  ASSERT_TRUE(run(*reme, turn, &writer).ok());
  const CubeId id = cubes("reme.experience")[0].id;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(store->head(alice, id)->life, Life::active);
    ASSERT_TRUE(feedback(*store, alice, id, i < 2).ok());
  }
  EXPECT_EQ(store->head(alice, id)->life, Life::archived);
  EXPECT_EQ(usage_of(*store, alice, id)->helped, 2);
  EXPECT_EQ(feedback(*store, alice, *turn.user_cube, true).code(), Code::invalid);
}

}  // namespace
}  // namespace varve
