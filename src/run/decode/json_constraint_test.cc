// Random walks through the mask: whatever is drawn ends as JSON that its schema accepts.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cmath>

#include "core/base/rng.h"
#include "run/decode/constraint.h"
#include "tests/support/fake_tokenizer.h"
#include "tests/support/tiny_schema.h"

namespace varve {
namespace {

using GrammarPtr = std::shared_ptr<const Grammar>;

const FakeTokenizer& vocabulary() {
  static const FakeTokenizer tokenizer(
      {"{\"",      "\"}", "\": ", "\": \"", "\", \"", "{}",    "[]",       "[\"",  "true",    "fal",  "null",
       "123",      "0.5", "-1",   "e+",     "name",   "kind",  "\\u00",    "\\\"", " ",       "\n  ", "日本",
       "\xE6\x97", "é",   "},",   "}}",     "]]",     "2024-", "\"a\": 1", ", ",   "abcdefgh"});
  return tokenizer;
}

// Draws `free` tokens at random, then prefers what ends every other time.
std::string walk(const Grammar& grammar, uint64_t seed, int free) {
  const FakeTokenizer& tokens = vocabulary();
  const auto answer = grammar.start();
  std::string text;
  std::vector<float> logits(size_t(tokens.size()));
  for (int step = 0; step < free + 3000; ++step) {
    std::fill(logits.begin(), logits.end(), 0.0f);
    if (!answer->mask(logits)) return text + "<stuck>";
    std::vector<Token> open;
    for (Token t = 0; t < tokens.size(); ++t) {
      if (!std::isinf(logits[size_t(t)])) open.push_back(t);
    }
    Token chosen = open[random_bits({.seed = seed, .step = uint64_t(step)}, 0) % open.size()];
    if (step >= free && step % 2 == 0) {
      for (const Token closing : {tokens.end(), Token('"'), Token('}'), Token(']')}) {
        if (!std::isinf(logits[size_t(closing)])) {
          chosen = closing;
          break;
        }
      }
    }
    EXPECT_TRUE(answer->accept(chosen).ok());
    if (chosen == tokens.end()) return text;
    text += tokens.piece(chosen);
  }
  return text + "<endless>";
}

constexpr const char* kSchemas[] = {
    R"({"type": "object", "properties": {"name": {"type": "string"}, "kind": {"type": "integer"}},
        "required": ["name"]})",
    R"({"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "null"}, "c": {"type": "number"}}})",
    R"({"type": "object", "properties": {"a": true, "b": {}}, "required": ["b", "z"]})",
    R"({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}})",
    R"({"type": "object", "properties": {"ab": {"type": "integer"}, "abc": {"type": "integer"}, "é": {"type": "null"}},
        "required": ["abc"], "additionalProperties": true})",
    R"({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "boolean"}}})",
    R"({"type": "object", "properties": {"o": {"type": "object", "properties": {"p": {"enum": ["x", "y\"z"]}},
        "required": ["p"], "additionalProperties": false}}, "required": ["o"]})",
    R"({"type": "array", "items": {"type": "integer", "minimum": -5, "maximum": 250}, "minItems": 1, "maxItems": 4})",
    R"({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": {"type": "null"}})",
    R"({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}, {"const": 3}], "minItems": 1})",
    R"({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": {"const": 9}, "minItems": 4, "maxItems": 5})",
    R"({"type": "array", "items": {"type": "array", "items": {"type": "string", "maxLength": 3}}, "minItems": 2})",
    R"({"type": "array", "maxItems": 0})",
    R"({"type": "array"})",
    R"({"type": "string", "minLength": 3, "maxLength": 6})",
    R"({"type": "string", "pattern": "^[a-z]{2,4}-\\d+$"})",
    R"({"type": "string", "pattern": "^(a|b\"|\\\\)+$|^x"})",
    R"({"type": "string", "pattern": "q[^a-z\\s]"})",
    R"({"type": "integer", "minimum": 7})",
    R"({"type": "integer", "exclusiveMinimum": -100, "maximum": -3})",
    R"({"type": "number", "minimum": 0, "maximum": 1})",
    R"({"type": "number", "exclusiveMinimum": 0.25, "exclusiveMaximum": 12.5})",
    R"({"type": "number", "minimum": -1.75, "exclusiveMaximum": 0})",
    R"({"type": "number", "minimum": 0.123, "maximum": 0.129})",
    R"({"type": ["string", "null", "integer"], "maxLength": 4, "minimum": 10})",
    R"({"enum": ["red", "green", 3, null, {"a": [1, "b"]}]})",
    R"({"const": {"x": "é\n", "y": [true]}})",
    R"({"anyOf": [{"type": "object", "properties": {"kind": {"const": "a"}, "v": {"type": "integer"}},
        "required": ["kind", "v"]}, {"type": "object", "properties": {"kind": {"const": "b"}},
        "required": ["kind"]}]})",
    R"({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"],
        "oneOf": [{"properties": {"y": {"type": "string"}}, "required": ["y"]},
        {"properties": {"z": {"type": "null"}}}]})",
    R"({"allOf": [{"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
        {"properties": {"a": {"maximum": 9}, "b": {"type": "string"}}, "required": ["b"]}]})",
    R"({"$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["v", "next"]}},
        "$ref": "#/$defs/node"})",
    R"({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}, "required": ["children"]})",
    R"({"definitions": {"small": {"type": "integer", "minimum": 0}}, "type": "array",
        "items": {"allOf": [{"$ref": "#/definitions/small"}, {"maximum": 20}]}})",
    R"({"properties": {"only": {"type": "string", "nullable": true}}, "required": ["only"], "title": "t", "x-note": 1})",
    R"({"type": "string", "format": "email"})",
    R"({})",
    R"(true)",
};

// Members of objects that a schema leaves open may repeat, which a grammar cannot forbid.
bool repeats_a_key(Status status) {
  return status.message().find("duplicate") != std::string_view::npos;
}

TEST(JsonConstraint, whatever_is_drawn_is_valid) {
  int whole = 0, repeated = 0;
  for (const char* text : kSchemas) {
    const Json schema = *parse_json(text);
    auto grammar = grammar_from_json_schema(schema, vocabulary());
    ASSERT_TRUE(grammar.ok()) << text << std::move(grammar).status().text();
    for (uint64_t seed = 0; seed < 12; ++seed) {
      const std::string drawn = walk(**grammar, seed, 3 + int(seed) * 5);
      auto value = parse_json(drawn);
      if (!value.ok() && repeats_a_key(std::move(value).status())) {
        ++repeated;
        continue;
      }
      value = parse_json(drawn);
      ASSERT_TRUE(value.ok()) << text << "\n" << drawn << "\n" << std::move(value).status().text();
      EXPECT_TRUE(TinySchema(schema).valid(*value)) << text << "\n" << drawn;
      ++whole;
    }
  }
  EXPECT_GT(whole, repeated * 20);
}

TEST(JsonConstraint, any_json_is_one_object) {
  auto grammar = grammar_any_json(vocabulary());
  ASSERT_TRUE(grammar.ok());
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const std::string drawn = walk(**grammar, seed, int(seed) * 3);
    auto value = parse_json(drawn);
    if (value.ok()) {
      EXPECT_TRUE(value->is_object());
    } else {
      EXPECT_TRUE(repeats_a_key(std::move(value).status())) << drawn;
    }
  }
}

// Whether the schema's grammar takes exactly this text.
bool takes(const std::string& schema, std::string_view text) {
  auto grammar = grammar_from_json_schema(*parse_json(schema), vocabulary());
  EXPECT_TRUE(grammar.ok()) << schema << std::move(grammar).status().text();
  if (!grammar.ok()) return false;
  const auto answer = (*grammar)->start();
  for (const char c : text) {
    if (!answer->accept(uint8_t(c)).ok()) return false;
  }
  return answer->complete();
}

TEST(JsonConstraint, takes_what_people_write) {
  const std::string person =
      R"({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"},
                                 "tags": {"type": "array", "items": {"type": "string"}}},
                                 "required": ["name"]})";
  EXPECT_TRUE(takes(person, R"({"name": "Ann", "age": 7, "tags": ["a", "b"]})"));
  EXPECT_TRUE(takes(person, R"({"name":"Ann","tags":[]})"));
  EXPECT_TRUE(takes(person, "{\n  \"name\": \"A\\u00e9\\n日本\"\n}"));
  EXPECT_FALSE(takes(person, R"({"age": 7})"));
  EXPECT_FALSE(takes(person, R"({"name": "Ann", "more": 1})"));
  EXPECT_FALSE(takes(person, R"({"name": "Ann",})"));
  EXPECT_FALSE(takes(person, "{\"name\": \"a\nb\"}"));
  EXPECT_FALSE(takes(person, R"({"name": "\ud800"})"));
  EXPECT_FALSE(takes(person, "{  \"name\": \"Ann\"}"));
  const std::string open = R"({"type": "object", "properties": {"ab": true}, "additionalProperties": true})";
  EXPECT_TRUE(takes(open, R"({"ab": 1, "a": 2, "abc": 3, "": 4})"));
  EXPECT_TRUE(takes(open, R"({"b": [1, {"x": -0.5e-3}, null]})"));
  EXPECT_FALSE(takes(open, R"({"b": 1, "ab": 2})"));
}

TEST(JsonConstraint, formats_are_dates_times_and_ids) {
  const auto format = [](const char* name) {
    return std::string(R"({"type": "string", "format": ")") + name + "\"}";
  };
  EXPECT_TRUE(takes(format("date"), "\"2024-02-28\""));
  EXPECT_FALSE(takes(format("date"), "\"2024-13-01\""));
  EXPECT_FALSE(takes(format("date"), "\"2024-04-31\""));
  EXPECT_TRUE(takes(format("time"), "\"23:59:00.5Z\""));
  EXPECT_FALSE(takes(format("time"), "\"24:00:00Z\""));
  EXPECT_TRUE(takes(format("date-time"), "\"2024-07-26T09:05:00+02:00\""));
  EXPECT_FALSE(takes(format("date-time"), "\"2024-07-26 09:05:00\""));
  EXPECT_TRUE(takes(format("uuid"), "\"123e4567-e89b-12d3-a456-426614174000\""));
  EXPECT_FALSE(takes(format("uuid"), "\"123e4567\""));
}

TEST(JsonConstraint, whole_numbers_are_bounded_exactly) {
  for (const auto& [least, most] :
       {std::pair(0, 0), {-3, 4}, {17, 123}, {98, 1005}, {-250, -99}, {0, 999}, {-1, 100}}) {
    const std::string schema = R"({"type": "integer", "minimum": )" + std::to_string(least) +
                               R"(, "maximum": )" + std::to_string(most) + "}";
    const auto grammar = grammar_from_json_schema(*parse_json(schema), vocabulary());
    ASSERT_TRUE(grammar.ok());
    for (int n = least - 150; n <= most + 150; ++n) {
      const auto answer = (*grammar)->start();
      bool taken = true;
      for (const char c : std::to_string(n)) taken = taken && answer->accept(uint8_t(c)).ok();
      EXPECT_EQ(taken && answer->complete(), n >= least && n <= most) << schema << " : " << n;
    }
  }
}

TEST(JsonConstraint, decimals_are_bounded) {
  const std::string schema = R"({"type": "number", "minimum": -1.25, "exclusiveMaximum": 20.5})";
  for (const char* good :
       {"-1.25", "-1.2", "-1", "-0.5", "0", "0.001", "19.99", "20", "20.4", "20.49", "7", "10.5"}) {
    EXPECT_TRUE(takes(schema, good)) << good;
  }
  for (const char* bad : {"-1.26", "-1.3", "-2", "20.5", "20.51", "21", "100", "01", "1.", ".5", "-"}) {
    EXPECT_FALSE(takes(schema, bad)) << bad;
  }
}

TEST(JsonConstraint, decimals_between_any_two_hundredths_are_told_apart) {
  const auto text = [](int hundredths) {
    std::string digits = std::to_string(std::abs(hundredths));
    if (digits.size() < 3) digits.insert(0, 3 - digits.size(), '0');
    digits.insert(digits.size() - 2, ".");
    digits.erase(digits.find_last_not_of("0") + 1);
    if (digits.back() == '.') digits.pop_back();
    return (hundredths < 0 ? "-" : "") + digits;
  };
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const auto bits = random_block({.seed = seed}, 0);
    const int a = int(bits[0] % 3001) - 1500, b = a + int(bits[1] % 700);
    const bool open_below = bits[2] % 2 == 0, open_above = bits[3] % 2 == 0;
    if (a == b && (open_below || open_above)) continue;
    const std::string schema = std::string(R"({"type": "number", ")") +
                               (open_below ? "exclusiveMinimum" : "minimum") + "\": " + text(a) + ", \"" +
                               (open_above ? "exclusiveMaximum" : "maximum") + "\": " + text(b) + "}";
    const auto grammar = grammar_from_json_schema(*parse_json(schema), vocabulary());
    ASSERT_TRUE(grammar.ok()) << schema;
    for (int n = a - 130; n <= b + 130; ++n) {
      const auto answer = (*grammar)->start();
      bool taken = true;
      for (const char c : text(n)) taken = taken && answer->accept(uint8_t(c)).ok();
      const bool within = (open_below ? n > a : n >= a) && (open_above ? n < b : n <= b);
      EXPECT_EQ(taken && answer->complete(), within) << schema << " : " << text(n);
    }
  }
}

Status refusal(const std::string& schema) {
  return grammar_from_json_schema(*parse_json(schema), vocabulary()).status();
}

TEST(JsonConstraint, what_is_not_understood_is_named_with_its_place) {
  for (const char* key : {"not", "if", "patternProperties", "propertyNames", "maxProperties",
                          "dependentRequired", "contains", "multipleOf", "unevaluatedProperties"}) {
    const Status status = refusal(std::string(R"({"properties": {"p": {")") + key + R"(": {}}}})");
    EXPECT_EQ(status.code(), Code::unsupported);
    EXPECT_NE(status.message().find("'" + std::string(key) + "' at #/properties/p"), std::string::npos)
        << status.text();
  }
  EXPECT_EQ(refusal(R"({"uniqueItems": true})").code(), Code::unsupported);
  EXPECT_EQ(refusal(R"({"type": "string", "pattern": "(?=a)b"})").code(), Code::unsupported);
  EXPECT_EQ(refusal(R"({"type": "string", "pattern": "a\\1"})").code(), Code::unsupported);
  EXPECT_EQ(refusal(R"({"$ref": "http://example.org/x.json"})").code(), Code::unsupported);
  EXPECT_EQ(refusal(R"({"allOf": [{"pattern": "a"}, {"pattern": "b"}]})").code(), Code::unsupported);
  EXPECT_EQ(refusal(R"({"$ref": "#/$defs/x"})").code(), Code::invalid);
  EXPECT_EQ(refusal(R"({"type": "thing"})").code(), Code::invalid);
  EXPECT_EQ(refusal(R"({"type": 3})").code(), Code::invalid);
  EXPECT_EQ(refusal("[]").code(), Code::invalid);
  EXPECT_EQ(refusal("false").code(), Code::invalid);
  EXPECT_EQ(refusal(R"({"type": "integer", "minimum": 3, "maximum": 2})").code(), Code::invalid);
  EXPECT_EQ(refusal(R"({"enum": []})").code(), Code::invalid);
}

TEST(JsonConstraint, hostile_schemas_are_refused) {
  Json deep = true;
  for (int i = 0; i < 400; ++i) {
    Json outer = Json::object();
    outer.set("items", std::move(deep));
    deep = std::move(outer);
  }
  EXPECT_EQ(grammar_from_json_schema(deep, vocabulary()).code(), Code::invalid);
  EXPECT_EQ(refusal(R"({"$ref": "#"})").code(), Code::invalid);
  EXPECT_EQ(refusal(R"({"allOf": [{"$ref": "#"}]})").code(), Code::invalid);
  EXPECT_EQ(refusal(R"({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]})").code(), Code::invalid);
  EXPECT_EQ(
      refusal(R"({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"})")
          .code(),
      Code::invalid);
  EXPECT_EQ(refusal(R"({"type": "array", "items": {"$ref": "#"}, "minItems": 1})").code(), Code::invalid);
  EXPECT_EQ(refusal(R"({"type": "string", "minLength": 2000000})").code(), Code::invalid);
  EXPECT_EQ(refusal(R"({"type": "array", "minItems": 90000, "items": {"type": "array", "minItems": 90000}})")
                .code(),
            Code::invalid);
  EXPECT_EQ(refusal(R"({"type": "string", "pattern": ")" + std::string(9000, '(') + R"("})").code(),
            Code::unsupported);
  EXPECT_EQ(refusal(R"({"type": "string", "pattern": "((((a{2000}b){2000}c){2000}d){2000}e){2000}"})").code(),
            Code::ok);
  std::string wide = R"({"type": "object", "properties": {"p")";
  for (int i = 0; i < 20000; ++i) wide += R"(: {"type": "null"}, "p)" + std::to_string(i) + "\"";
  EXPECT_EQ(refusal(wide + ": {}}}").code(), Code::invalid);
}

TEST(JsonConstraint, counts_the_bytes_that_it_holds) {
  const auto heap = [] {
    const struct mallinfo2 info = mallinfo2();
    return int64_t(info.uordblks + info.hblkhd);
  };
  ASSERT_TRUE(grammar_any_json(vocabulary()).ok());  // what is made once is there now
  const int64_t empty = heap();
  if (empty == 0) GTEST_SKIP() << "this allocator counts nothing";
  const GrammarPtr grammar = grammar_any_json(vocabulary()).value();
  EXPECT_NEAR(double(grammar->held_bytes()), double(heap() - empty), 0.2 * double(heap() - empty));
  const int64_t before = heap();
  const auto answer = grammar->start();
  std::vector<float> logits(size_t(vocabulary().size()));
  for (const char c :
       std::string_view(R"({"a": [1, {"b": "some text", "c": [true, null, -0.5e3]}], "d": {}})")) {
    ASSERT_TRUE(answer->mask(logits));
    ASSERT_TRUE(answer->accept(uint8_t(c)).ok());
  }
  const int64_t grown = heap() - before - int64_t(logits.capacity() * sizeof(float));
  EXPECT_GT(grown, 10000);
  EXPECT_NEAR(double(answer->held_bytes()), double(grown), 0.2 * double(grown));
}

}  // namespace
}  // namespace varve
