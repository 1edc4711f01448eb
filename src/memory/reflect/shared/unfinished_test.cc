#include "memory/reflect/shared/unfinished.h"

#include <gtest/gtest.h>

#include "memory/reflect/ask.h"

namespace varve {
namespace {

const Json kShape = answer::record(
    {{"facts", answer::list(answer::text(100), 5)},
     {"action", answer::choice({"add", "keep"})},
     {"steps", answer::list(answer::record({{"at", answer::number(1, 99)}, {"why", answer::text(50)}}), 5)}});

TEST(Unfinished, KeepsWhatIsWhole) {
  const auto made = [](std::string_view text) { return finished(text, kShape).value_or("none"); };
  const std::string empty = R"({"facts":[],"action":"add","steps":[]})";
  EXPECT_EQ(made(""), empty);
  EXPECT_EQ(made("{"), empty);
  EXPECT_EQ(made(R"({"fac)"), empty);
  EXPECT_EQ(made(R"({"facts": ["I li)"), empty);
  EXPECT_EQ(made(R"({"facts": ["I like figs", "and I)"),
            R"({"facts":["I like figs"],"action":"add","steps":[]})");
  EXPECT_EQ(made(R"({"facts": [], "action": "k)"), R"({"facts":[],"action":"keep","steps":[]})");
  EXPECT_EQ(made(R"({"facts": [], "action": "keep", "steps": [{"at": 12, "why": "so"}, {"at": 1)"),
            R"({"facts":[],"action":"keep","steps":[{"at":12,"why":"so"}]})");
  EXPECT_EQ(made(R"({"facts": [], "action": "keep", "steps": [])"),
            R"({"facts":[],"action":"keep","steps":[]})");
}

TEST(Unfinished, ATextEndsBeforeTheWordThatWasCut) {
  const Json shape = answer::record({{"say", answer::text(100)}, {"n", answer::number(3, 9)}});
  EXPECT_EQ(finished(R"({"say":"it is bl)", shape), R"({"say":"it is","n":3})");
  EXPECT_EQ(finished("{\"say\":\"it \xC3", shape), R"({"say":"it","n":3})");
  EXPECT_EQ(finished(R"({"say":"it \u00)", shape), R"({"say":"it","n":3})");
  EXPECT_EQ(finished(R"({"say":"it\)", shape), R"({"say":"","n":3})");
  EXPECT_EQ(finished(R"({"say":"a \" b)", shape), R"({"say":"a \"","n":3})");
}

TEST(Unfinished, WhatIsNoSuchBeginningStaysWrong) {
  for (const char* text : {"I", "[", R"({"action")", R"({"facts": 5)", R"({"facts": [], "action": "drop")",
                           R"({"facts":[]} and)", R"({"facts":[],"action":"add","steps":[]})"})
    EXPECT_FALSE(finished(text, kShape).has_value()) << text;
}

TEST(Unfinished, EveryBeginningOfAnAnswerIsFinishedAndFits) {
  const std::string whole =
      R"({"facts": ["caf\u00e9 \ud83d\udc15", "b c"], "action": "keep", "steps": [{"at": 12, "why": "\"x\" y"}]})";
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto made = finished(std::string_view(whole).substr(0, size), kShape);
    ASSERT_TRUE(made.has_value()) << whole.substr(0, size);
    const Json json = *parse_json(*made);
    EXPECT_EQ(json.size(), 3u);
    EXPECT_TRUE(json["facts"].is_array() && json["steps"].is_array() && json["action"].is_string());
  }
}

}  // namespace
}  // namespace varve
