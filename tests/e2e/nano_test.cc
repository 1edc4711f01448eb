// The embedded model, as a stranger meets it: no --model, no download.
#include <gtest/gtest.h>

#include "core/format/json.h"
#include "tests/e2e/child.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

class EmbeddedModel : public testing::Test {
 protected:
  Child::End chat(const std::string& lines, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"chat", "--home", home});
    return run_child(VARVE_PROGRAM, more, lines);
  }
  TempFolder folder;
  const std::string home = folder / "home";
};

TEST_F(EmbeddedModel, knows_tomorrow_what_was_said_today) {
  const Child::End today = chat("I am allergic to peanuts.\nMy sister Petronella plays the bassoon.\n");
  ASSERT_EQ(today.exit_code, 0) << today.err;
  const Child::End tomorrow =
      chat("What am I allergic to?\nWhat instrument does my sister play?\n", {"--session", "tomorrow"});
  EXPECT_NE(tomorrow.out.find("allergic to peanuts"), std::string::npos) << tomorrow.out;
  EXPECT_NE(tomorrow.out.find("bassoon"), std::string::npos) << tomorrow.out;
}

TEST_F(EmbeddedModel, no_longer_says_what_was_forgotten) {
  ASSERT_EQ(chat("I am allergic to peanuts.\n").exit_code, 0);
  ASSERT_EQ(run_child(VARVE_PROGRAM, {"forget", "peanuts", "--yes", "--home", home}).exit_code, 0);
  const Child::End after = chat("What am I allergic to?\n", {"--session", "later"});
  ASSERT_EQ(after.exit_code, 0) << after.err;
  EXPECT_EQ(after.out.find("peanuts"), std::string::npos) << after.out;
}

// A sample of the card's table, so that a change of the engine that costs its answers is seen.
TEST_F(EmbeddedModel, answers_questions_that_its_training_kept_apart) {
  const Child::End end = run_child(
      VARVE_PROGRAM,
      {"eval", "nano", "--json", std::string("model=") + VARVE_NANO, "n=40", "only=fact in context"});
  ASSERT_EQ(end.exit_code, 0) << end.err;
  const auto first = parse_json(end.out.substr(0, end.out.find('\n')));
  ASSERT_TRUE(first.ok()) << end.out;
  EXPECT_EQ((*first)["name"], Json("single fact in context"));
  EXPECT_GE((*first)["value"].as_double(), 70) << end.out;
}

}  // namespace
}  // namespace varve
