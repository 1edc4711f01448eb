#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "run/model/tokenizer.h"
#include "tests/support/shared.h"

namespace varve {
namespace {

Ledger& room() {
  static Ledger ledger(1 << 30);
  return ledger;
}

constexpr char kSmall[] = R"({
  "added_tokens": [
    {"id": 0, "content": "[PAD]", "special": true}, {"id": 1, "content": "[UNK]", "special": true},
    {"id": 2, "content": "[CLS]", "special": true}, {"id": 3, "content": "[SEP]", "special": true}],
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                 "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "post_processor": {"type": "TemplateProcessing", "single": [
    {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
    {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "un": 4, "##aff": 5, "##able": 6,
                      "!": 7, "apfel": 8, "\u4e2d": 9, "##s": 10, "un##": 11}}})";

std::vector<Token> ids(const Tokenizer& tokenizer, std::string_view text, bool special = false) {
  std::vector<Token> out;
  tokenizer.encode(text, special, out);
  return out;
}

using Ids = std::vector<Token>;

TEST(WordPiece, SpellsWordsByTheLongestPieces) {
  const auto tokenizer = open_tokenizer_json(kSmall, room()).value();
  EXPECT_EQ(ids(*tokenizer, "unaffable"), (Ids{4, 5, 6}));
  EXPECT_EQ(ids(*tokenizer, "UNAFFABLE!\u00C4pfels\u4E2D\u4E2D"), (Ids{4, 5, 6, 7, 8, 10, 9, 9}));
  EXPECT_EQ(ids(*tokenizer, "unfair un"), (Ids{1, 4}));  // one unknown end makes the word unknown
  EXPECT_EQ(ids(*tokenizer, std::string(101, 's')), (Ids{1}));
  EXPECT_EQ(ids(*tokenizer, "u\xFFn\x01"), (Ids{4}));  // broken bytes and controls are dropped
  EXPECT_EQ(ids(*tokenizer, ""), (Ids{}));
}

TEST(WordPiece, MakesControlTokensOnlyWhenAsked) {
  const auto tokenizer = open_tokenizer_json(kSmall, room()).value();
  EXPECT_EQ(ids(*tokenizer, "[SEP]"), (Ids{1, 1, 1}));
  EXPECT_EQ(ids(*tokenizer, "un[SEP]un", true), (Ids{4, 3, 4}));
  EXPECT_EQ(tokenize_prompt(*tokenizer, "un"), (Ids{2, 4, 3}));
  EXPECT_EQ(tokenize_prompt(*tokenizer, "[CLS] un [SEP]"), (Ids{2, 4, 3}));
}

TEST(WordPiece, DecodesWordsWithSpaces) {
  const auto tokenizer = open_tokenizer_json(kSmall, room()).value();
  const Ids all{2, 4, 5, 6, 8, 3};
  EXPECT_EQ(detokenize(*tokenizer, all), "unaffable apfel");
  EXPECT_EQ(detokenize(*tokenizer, all, true), "[CLS]unaffable apfel[SEP]");
  EXPECT_EQ(tokenizer->piece(5), "aff");
  EXPECT_EQ(tokenizer->piece(2), "");
  EXPECT_TRUE(tokenizer->is_control(2));
}

TEST(TokenizerJson, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(open_tokenizer_json("{", room()).code(), Code::invalid);
  EXPECT_EQ(open_tokenizer_json("{}", room()).code(), Code::invalid);
  const auto with = [](std::string_view from, std::string_view to) {
    std::string text = kSmall;
    text.replace(text.find(from), from.size(), to);
    return open_tokenizer_json(text, room()).code();
  };
  EXPECT_EQ(with("\"WordPiece\"", "\"Telepathy\""), Code::unsupported);
  EXPECT_EQ(with("\"BertNormalizer\"", "\"Lowercase\""), Code::unsupported);
  EXPECT_EQ(with("\"##s\": 10", "\"##s\": -1"), Code::invalid);
  EXPECT_EQ(with("\"##s\": 10", "\"##s\": 9"), Code::invalid);
}

// Ids by the rules, looked up by eye in the vocabulary of the embedding model that ships with the data.
TEST(TokenizerJson, ReadsARealFile) {
  NEED_SHARED("data/models/static-embeddings/tokenizer.json");
  std::ifstream file(shared_path("data/models/static-embeddings/tokenizer.json"));
  std::stringstream text;
  text << file.rdbuf();
  const auto tokenizer = open_tokenizer_json(text.str(), room()).value();
  EXPECT_EQ(tokenizer->size(), 29528);
  const Ids tokens = ids(*tokenizer, "What did Caroline's daughter paint, unaffably?");
  EXPECT_EQ(detokenize(*tokenizer, tokens), "what did caroline ' s daughter paint , unaffably ?");
}

}  // namespace
}  // namespace varve
