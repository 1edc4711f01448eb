#include "serve/session/answer/tool_calls.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

struct Heard {
  std::string words;
  std::vector<ToolCall> calls;
};

// Letter by letter, and whole: both must hear the same.
Heard heard(const std::string& text, const std::vector<std::string>& offered = {"find", "forget"}) {
  Heard all;
  for (const size_t step : {text.size() + 1, size_t(1)}) {
    ToolCallReader reader(offered);
    Heard one;
    for (size_t at = 0; at < text.size(); at += step) one.words += reader.push(text.substr(at, step));
    auto end = reader.finish();
    one.words += end.words;
    one.calls = end.calls;
    if (step == 1) {
      EXPECT_EQ(one.words, all.words) << text;
      EXPECT_EQ(one.calls.size(), all.calls.size()) << text;
    }
    all = one;
  }
  return all;
}

TEST(ToolCalls, AreReadInEveryCommonForm) {
  for (const char* text : {
           R"(<tool_call>
{"name": "find", "arguments": {"q": 1}}
</tool_call>)",
           R"(<tool_call>{"name": "find", "arguments": {"q": 1}})",
           R"({"name": "find", "parameters": {"q": 1}})",
           R"(<|python_tag|>{"name": "find", "parameters": {"q": 1}})",
           R"([TOOL_CALLS] [{"name": "find", "arguments": {"q": 1}}])",
           R"([{"name": "find", "arguments": {"q": 1}}])",
       }) {
    const Heard one = heard(text);
    ASSERT_EQ(one.calls.size(), 1u) << text;
    EXPECT_EQ(one.calls[0].name, "find");
    EXPECT_EQ(one.calls[0].arguments["q"], Json(1));
    EXPECT_EQ(one.words, "") << text;
  }
}

TEST(ToolCalls, MayBeSeveralAndComeAfterWords) {
  const Heard one = heard(
      "Let me look.\n<tool_call>{\"name\":\"find\",\"arguments\":{}}</tool_call>\n"
      "<tool_call>{\"name\":\"forget\",\"arguments\":{}}</tool_call>");
  ASSERT_EQ(one.calls.size(), 2u);
  EXPECT_EQ(one.calls[1].name, "forget");
  EXPECT_EQ(one.words, "Let me look.\n");
}

TEST(ToolCalls, OfNobodysToolsAreWords) {
  for (const std::string text :
       {"plain words", "{\"name\": \"rm\", \"parameters\": {}}", "[1, 2]", "{ an open brace",
        "<tool_call>nonsense</tool_call>", "a < b and <tool_c",
        "<tool_call>{\"name\":\"rm\",\"arguments\":{}}</tool_call>", "{\"name\": 5}", "  ", ""}) {
    const Heard one = heard(text);
    EXPECT_TRUE(one.calls.empty()) << text;
    EXPECT_EQ(one.words, text);
  }
  EXPECT_EQ(heard(R"({"name": "find", "parameters": {}})", {}).words,
            R"({"name": "find", "parameters": {}})");
}

}  // namespace
}  // namespace varve
