#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/format/json.h"
#include "core/io/env.h"
#include "run/model/tokenizer.h"
#include "tests/support/shared.h"

namespace varve {
namespace {

Ledger& room() {
  static Ledger ledger(1 << 30);
  return ledger;
}

using Ids = std::vector<Token>;

Ids encoded(const Tokenizer& tokenizer, std::string_view text, bool special = false) {
  Ids out;
  tokenizer.encode(text, special, out);
  return out;
}

// Llama's vocabulary in this format: characters, U+2581, bytes for what is missing.
constexpr char kCharacters[] = R"({
  "added_tokens": [{"id": 0, "content": "<unk>", "special": true},
                   {"id": 1, "content": "<s>", "special": true},
                   {"id": 2, "content": "</s>", "special": true}, {"id": 12, "content": "<tool>"}],
  "normalizer": {"type": "Sequence", "normalizers": [
    {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
  "pre_tokenizer": null,
  "post_processor": {"type": "TemplateProcessing", "single": [
    {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]},
  "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true,
    "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "<0xC3>": 3, "<0xA9>": 4, "▁": 5, "h": 6, "e": 7, "l": 8,
              "he": 9, "▁he": 10, "ll": 11},
    "merges": ["h e", "▁ he", ["l", "l"]]}})";

TEST(TokenizerJson, ReadsBpeOnCharacters) {
  const auto tokenizer = open_tokenizer_json(kCharacters, room()).value();
  EXPECT_EQ(encoded(*tokenizer, "hell he"), (Ids{10, 11, 10}));
  EXPECT_EQ(encoded(*tokenizer, "é?"), (Ids{5, 3, 4, 0}));
  EXPECT_EQ(encoded(*tokenizer, "he<tool>he"), (Ids{10, 12, 10}));
  EXPECT_EQ(tokenize_prompt(*tokenizer, "he"), (Ids{1, 10}));
  EXPECT_EQ(detokenize(*tokenizer, encoded(*tokenizer, "hell é")), "hell é");
  EXPECT_EQ(tokenizer->special().end_of_generation, (Ids{2}));
}

TEST(TokenizerJson, RefusesBpeThatItDoesNotUnderstand) {
  const auto with = [](std::string_view from, std::string_view to) {
    std::string text = kCharacters;
    text.replace(text.find(from), from.size(), to);
    return open_tokenizer_json(text, room()).code();
  };
  EXPECT_EQ(with("\"Prepend\"", "\"Lowercase\""), Code::unsupported);
  EXPECT_EQ(with("\"pre_tokenizer\": null", "\"pre_tokenizer\": {\"type\": \"Whitespace\"}"),
            Code::unsupported);
  EXPECT_EQ(with("\"byte_fallback\"", "\"end_of_word_suffix\": \"</w>\", \"x\""), Code::unsupported);
  EXPECT_EQ(with("\"h e\"", "\"he\""), Code::invalid);
  EXPECT_EQ(with("\"h e\"", "5"), Code::invalid);
  EXPECT_EQ(with("\"content\": \"▁\"", "\"content\": \"_\""), Code::unsupported);
}

// A GGUF vocabulary written as the tokenizer.json it came from, with the splitters as that model has them.
std::string as_json(const Gguf& gguf, std::string_view pre_tokenizer) {
  Json vocab = Json::object(), added = Json::array(), merges = Json::array();
  const auto tokens = gguf.strings("tokenizer.ggml.tokens").value();
  const auto types = gguf.integers("tokenizer.ggml.token_type").value();
  Json::Object entries;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<int64_t>(i);
    if (types[i] == 1) {
      entries.emplace_back(tokens[i], id);
    } else {
      added.push(Json::object().set("id", id).set("content", tokens[i]).set("special", types[i] == 3));
    }
  }
  for (const std::string& merge : gguf.strings("tokenizer.ggml.merges").value()) merges.push(merge);
  Json model = Json::object().set("type", "BPE").set("vocab", Json(std::move(entries)));
  model.set("merges", std::move(merges));
  Json root = Json::object().set("added_tokens", std::move(added)).set("model", std::move(model));
  return root.set("pre_tokenizer", parse_json(pre_tokenizer).value()).dump();
}

void expect_same(const std::string& name, std::string_view pre_tokenizer) {
  const std::string path = shared_path("golden/tokenizers/ggml-vocab-" + name + ".gguf");
  const Gguf gguf = Gguf::parse(posix_env().map(path).value()->bytes()).value();
  const auto from_gguf = open_tokenizer(gguf, room()).value();
  auto from_json = open_tokenizer_json(as_json(gguf, pre_tokenizer), room());
  ASSERT_TRUE(from_json.ok()) << std::move(from_json).status().text();
  std::ifstream file(path + ".inp");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(encoded(**from_json, text.str()), encoded(*from_gguf, text.str()));
}

TEST(TokenizerJson, ReadsBpeOnBytesLikeTheGgufOfTheSameModel) {
  NEED_SHARED("golden/tokenizers");
  expect_same("gpt-2", R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true})");
  expect_same("gpt-2", R"({"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex":
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]++|\\s+(?!\\S)|\\s+"},
     "behavior": "Isolated", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})");
}

}  // namespace
}  // namespace varve
