#include "run/decode/subtasks.h"

#include <gtest/gtest.h>

#include <random>

namespace varve {
namespace {

SubtaskMarks marks(const std::string& spec = "tim") {
  return parse_subtasks(spec).value();
}

TEST(Subtasks, LeaveTheirFirstLineAndTheirResult) {
  EXPECT_EQ(without_work(marks(), "A <subtask>sum\n1 + 1 is 2\n<result>2</subtask> B"),
            "A <subtask>sum\n<result>2</subtask> B");
  EXPECT_EQ(without_work(marks("tim:head=3"), "<subtask>a long name of work<result>r</subtask>"),
            "<subtask>a l<result>r</subtask>");
  EXPECT_EQ(without_work(marks("tim:head=2"), "<subtask>a\xC3\xA4\xC3\xB6<result>r</subtask>"),
            "<subtask>a\xC3\xA4<result>r</subtask>")
      << "whole characters";
  EXPECT_EQ(
      without_work(marks("tim:open=<think>,result=</think>,close=.,head=0"), "<think>hm</think>Yes. No"),
      "<think></think>Yes. No");
}

TEST(Subtasks, OfSubtasksGoWithTheWorkThatTheyBelongTo) {
  const std::string inner = "<subtask>in\nwork<result>i</subtask>", less = "<subtask>in\n<result>i</subtask>";
  EXPECT_EQ(without_work(marks(), "<subtask>out\nx" + inner + "y"), "<subtask>out\nx" + less + "y");
  EXPECT_EQ(without_work(marks(), "<subtask>out\nx" + inner + "y<result>o</subtask>z"),
            "<subtask>out\n<result>o</subtask>z");
  EXPECT_EQ(without_work(marks("tim:keep=1"), inner + inner + inner), less + less + inner);
}

TEST(Subtasks, ThatAreOpenOrSayNoResultStayAsTheyAre) {
  for (const std::string text :
       {"<subtask>a\nwork<result>r", "<subtask>a\nwork</subtask>", "</subtask><result>",
        "<result>a</subtask>", "<subtask>one line<result>r</subtask>", "", "<subtask"})
    EXPECT_EQ(without_work(marks(), text), text);
}

TEST(Subtasks, AreRefusedWithMarksThatCannotBeTold) {
  EXPECT_EQ(parse_subtasks("kim").code(), Code::invalid);
  EXPECT_EQ(parse_subtasks("tim:open=").code(), Code::invalid);
  EXPECT_EQ(parse_subtasks("tim:open=a,close=a").code(), Code::invalid);
  EXPECT_EQ(parse_subtasks("tim:keep=-1").code(), Code::invalid);
  EXPECT_EQ(parse_subtasks("tim:what=1").code(), Code::invalid);
  EXPECT_NE(marks("tim:close=[done]").words().find("complete in itself[done]"), std::string::npos);
}

// A tree of subtasks, and what ought to be left of it.
void write(std::mt19937& random, int depth, std::string& whole, std::string& left) {
  for (int i = int(random() % 4); i > 0; --i) {
    whole += "word ", left += "word ";
    if (depth == 0 || random() % 2 == 0) continue;
    std::string work, gone;
    write(random, depth - 1, work, gone);
    whole += "<subtask>n\n" + work + "<result>r</subtask>", left += "<subtask>n\n<result>r</subtask>";
  }
}

// However the text is cut into tokens, those that stay spell at least what is left, and marks stay whole.
TEST(Subtasks, AreFoundHoweverTokensAreCut) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    std::string whole, left;
    write(random, 3, whole, left);
    ASSERT_EQ(without_work(marks(), whole), left) << whole;
    Subtasks read(marks());
    std::vector<std::string> tokens;
    for (size_t at = 0; at < whole.size();) {
      const size_t size = 1 + random() % 9;
      tokens.push_back(whole.substr(at, size)), at += size;
      read.hear(int32_t(tokens.size()) - 1, tokens.back());
      while (const auto gone = read.next(false)) {
        ASSERT_LT(gone->first, gone->end);
        ASSERT_LT(gone->end, int32_t(tokens.size()));
        tokens.erase(tokens.begin() + gone->first, tokens.begin() + gone->end);
      }
    }
    std::string spelt;
    for (const std::string& token : tokens) spelt += token;
    EXPECT_EQ(without_work(marks(), spelt), left) << whole;
  }
}

}  // namespace
}  // namespace varve
