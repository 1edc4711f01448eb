#include "core/format/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/rng.h"

namespace varve {
namespace {

Json parsed(std::string_view text) {
  auto result = parse_json(text);
  if (result.ok()) return std::move(result).value();
  ADD_FAILURE() << text << ": " << std::move(result).status().text();
  return {};
}

std::string error_of(std::string_view text, const JsonLimits& limits = {}) {
  auto result = parse_json(text, limits);
  if (result.ok()) return "accepted: " + result->dump();
  EXPECT_EQ(result.code(), Code::invalid);
  return std::string(std::move(result).status().message());
}

TEST(Json, ReadsEveryKind) {
  const Json value = parsed(R"( {"a":null,"b":[true,false],"c":-12,"d":1.5e2,"e":"x\u00e9\ud83d\ude00\n"} )");
  EXPECT_TRUE(value["a"].is_null());
  EXPECT_TRUE(value["b"].as_array()[0].as_bool());
  EXPECT_EQ(value["c"].as_int(), -12);
  EXPECT_TRUE(value["c"].is_int());
  EXPECT_EQ(value["d"].as_double(), 150);
  EXPECT_FALSE(value["d"].is_int());
  EXPECT_EQ(value["e"].as_string(), "x\xC3\xA9\xF0\x9F\x98\x80\n");
  EXPECT_EQ(value.find("f"), nullptr);
  EXPECT_TRUE(value["f"].is_null());
  EXPECT_TRUE(value["f"]["g"].is_null());
}

TEST(Json, KeepsTheOrderOfMembers) {
  EXPECT_EQ(parsed(R"({"z":1,"a":2,"m":{}})").dump(), R"({"z":1,"a":2,"m":{}})");
}

TEST(Json, IntegersBeyondInt64BecomeDoubles) {
  EXPECT_EQ(parsed("9223372036854775807").as_int(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(parsed("-9223372036854775808").as_int(), std::numeric_limits<int64_t>::min());
  EXPECT_FALSE(parsed("9223372036854775808").is_int());
  EXPECT_EQ(parsed("9223372036854775808").as_double(), 0x1p63);
  EXPECT_EQ(parsed("18446744073709551616").as_double(), 0x1p64);
}

TEST(Json, RefusesWhatIsNotJson) {
  for (std::string_view text :
       {"",      " ",     "{",      "[",       "[1,]",        "{\"a\":1,}",  "{a:1}",       "'a'",
        "01",    "+1",    "1.",     ".5",      "1e",          "--1",         "NaN",         "Infinity",
        "tru",   "nul",   "\"",     "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\t\"",
        "1 2",   "[1] x", "/*c*/1", "//c\n1",  "{\"a\" 1}",   "{1:2}",       "]",           "\xEF\xBB\xBF{}",
        "1e999", "\x80"}) {
    EXPECT_EQ(error_of(text).substr(0, 11), "JSON, byte ") << text;
  }
}

TEST(Json, RefusesEveryKindOfBadUtf8) {
  for (std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_NE(error_of("\"" + std::string(bad) + "\"").find("UTF-8"), std::string::npos);
    // ... and writes it as replacement characters that can be read back.
    EXPECT_NE(parsed(Json(bad).dump()).as_string().find("\xEF\xBF\xBD"), std::string::npos);
  }
}

TEST(Json, AZeroByteDoesNotEndTheText) {
  EXPECT_EQ(error_of(std::string_view("1\0garbage", 9)), "JSON, byte 1: a zero byte");
  EXPECT_EQ(parsed("\"\\u0000\"").as_string(), std::string(1, '\0'));
}

TEST(Json, ErrorsNameTheByteAndDoNotQuoteTheText) {
  EXPECT_EQ(error_of("[1,2"), "JSON, byte 4: unexpected end of input; expected ']'");
  EXPECT_EQ(error_of("[1 2]").substr(0, 13), "JSON, byte 3:");
  EXPECT_LT(error_of("\"" + std::string(1 << 20, 'x')).size(), 200u);
}

TEST(Json, RefusesDuplicateKeysAtAnyDepth) {
  EXPECT_NE(error_of(R"({"a":1,"b":2,"a":3})").find("duplicate key 'a'"), std::string::npos);
  EXPECT_NE(error_of(R"([{"x":{"k":1,"\u006b":2}}])").find("duplicate key 'k'"), std::string::npos);
  EXPECT_TRUE(parse_json(R"({"a":{"a":1},"b":{"a":1}})").ok());
}

TEST(Json, EnforcesItsLimits) {
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')).ok());
  EXPECT_NE(error_of(std::string(65, '[') + std::string(65, ']')).find("nested deeper than 64"),
            std::string::npos);
  EXPECT_NE(error_of(std::string(1000000, '[')).find("nested deeper"), std::string::npos);
  EXPECT_TRUE(parse_json("[1,2,{\"a\":3}]", {.max_items = 6}).ok());
  EXPECT_NE(error_of("[1,2,{\"a\":3}]", {.max_items = 5}).find("more than 5"), std::string::npos);
  EXPECT_TRUE(parse_json("[1]", {.max_bytes = 3}).ok());
  EXPECT_NE(error_of("[1] ", {.max_bytes = 3}).find("longer than 3 bytes"), std::string::npos);
  // The limit stops the parser where it is passed, not after the whole text.
  EXPECT_EQ(error_of("[1,1,1,1,1,1 and then no JSON", {.max_items = 3}),
            "JSON, byte 6: more than 3 values and keys");
}

TEST(Json, ManyKeysTakeLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 49000; ++i) text += "\"" + std::to_string(i) + "\":0,";
  text.back() = '}';
  EXPECT_EQ(parsed(text).size(), 49000u);
}

TEST(Json, SetReplacesOrAppends) {
  Json value = Json::object();
  value.set("a", 1).set("b", Json::array().push("x").push(2.5)).set("a", true);
  EXPECT_EQ(value.dump(), R"({"a":true,"b":["x",2.5]})");
}

TEST(Json, EqualityIgnoresOrderAndTheKindOfNumber) {
  EXPECT_EQ(parsed(R"({"a":1,"b":[2.0]})"), parsed(R"({"b":[2],"a":1.0})"));
  EXPECT_FALSE(parsed(R"({"a":1})") == parsed(R"({"a":1,"b":1})"));
  EXPECT_FALSE(parsed(R"({"a":1})") == parsed(R"({"b":1})"));
  EXPECT_FALSE(Json(1) == Json(true));
  EXPECT_FALSE(Json(std::numeric_limits<int64_t>::max()) == Json(0x1p63));
  EXPECT_FALSE(Json(int64_t(9007199254740993)) == Json(9007199254740992.0));
  EXPECT_EQ(Json(-0x1p63), Json(std::numeric_limits<int64_t>::min()));
  EXPECT_FALSE(Json(0) == Json(std::nan("")));
}

TEST(Json, DumpWritesLinesWhenAsked) {
  EXPECT_EQ(parsed(R"({"a":[1,{}],"b":[]})").dump(2), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

TEST(Json, DumpEscapesAndKeepsDoublesDoubles) {
  EXPECT_EQ(Json("a\"\\/\b\f\n\r\t\x01\x7f").dump(), "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f\"");
  EXPECT_EQ(Json(1.0).dump(), "1.0");
  EXPECT_EQ(Json(1e300).dump(), "1e+300");
  EXPECT_EQ(Json(0.1).dump(), "0.1");
  EXPECT_EQ(Json(std::numeric_limits<double>::infinity()).dump(), "null");
}

TEST(Json, DeepValuesBuiltInCodeCanBeDumpedCopiedAndDestroyed) {
  Json value;
  for (int i = 0; i < kJsonDeepest; ++i) {
    Json outer = Json::array();
    outer.push(std::move(value));
    value = std::move(outer);
  }
  const Json copy = value;
  EXPECT_EQ(copy, value);
  const std::string text = copy.dump();
  EXPECT_EQ(text.size(), size_t(kJsonDeepest) * 2 + 4);
  EXPECT_EQ(*parse_json(text, {.max_depth = kJsonDeepest}), value);
}

// A random value of limited depth; the same index always gives the same value.
Json random_json(uint64_t seed, uint64_t& at, int depth) {
  const auto draw = [&](uint32_t n) { return random_bits({.seed = seed}, at++) % n; };
  std::string text;
  switch (draw(depth > 0 ? 7 : 5)) {
    case 0: return {};
    case 1: return draw(2) == 1;
    case 2: return int64_t((uint64_t(draw(1u << 31)) << 33) ^ draw(1u << 31)) >> draw(60);
    case 3: return std::ldexp(random_normal({.seed = seed}, at++), int(draw(200)) - 100);
    case 4:
      for (uint32_t n = draw(9); n > 0; --n) text += "\"\\\n\x01 \xC3\xA9z"[draw(8)];
      return parse_json(Json(text).dump()).ok() ? *parse_json(Json(text).dump()) : Json();
    default: break;
  }
  const bool array = draw(2) == 0;
  Json made = array ? Json::array() : Json::object();
  for (uint32_t n = draw(5); n > 0; --n) {
    Json child = random_json(seed, at, depth - 1);
    array ? made.push(std::move(child)) : made.set("k" + std::to_string(n), std::move(child));
  }
  return made;
}

TEST(Json, WhatIsDumpedReadsBackEqual) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    uint64_t at = 0;
    const Json value = random_json(seed, at, 5);
    for (int indent : {0, 1, 4}) {
      auto again = parse_json(value.dump(indent));
      ASSERT_TRUE(again.ok()) << value.dump();
      EXPECT_EQ(*again, value);
      EXPECT_EQ(again->dump(), value.dump());
    }
  }
}

TEST(Json, TruncationAnywhereIsACleanError) {
  const std::string text = R"({"a":[1.5e3,true,null,"\u00e9\n"],"b":{"c":-1}})";
  for (size_t n = 0; n < text.size(); ++n) EXPECT_EQ(error_of(text.substr(0, n)).substr(0, 5), "JSON,");
}

}  // namespace
}  // namespace varve
