// Vocabularies made here: what every algorithm must keep to, and what a file may not get away with.
#include "run/model/tokenizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/base/rng.h"
#include "core/io/env.h"
#include "run/model/tokenizer/unicode.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

Ledger& room() {
  static Ledger ledger(1 << 30);
  return ledger;
}

using Ids = std::vector<Token>;

struct Parts {
  std::string model, pre;
  std::vector<std::string> tokens, merges;
  GgufValue::Ints types;
  GgufValue::Floats scores;
  std::function<void(GgufWriter&)> more = [](GgufWriter&) {};

  Token add(std::string text, int64_t type = 1, double score = 0) {
    tokens.push_back(std::move(text));
    types.push_back(type);
    scores.push_back(score);
    return static_cast<Token>(tokens.size()) - 1;
  }
};

Result<std::unique_ptr<Tokenizer>> open(const Parts& parts) {
  GgufWriter writer;
  writer.set("general.architecture", std::string("test")).set("tokenizer.ggml.model", parts.model);
  if (!parts.pre.empty()) writer.set("tokenizer.ggml.pre", parts.pre);
  if (!parts.tokens.empty()) writer.set("tokenizer.ggml.tokens", parts.tokens);
  writer.set("tokenizer.ggml.merges", parts.merges);
  writer.set("tokenizer.ggml.token_type", GgufValue{GgufType::i32, true, parts.types});
  writer.set("tokenizer.ggml.scores", GgufValue{GgufType::f32, true, parts.scores});
  parts.more(writer);
  const TempFolder folder;
  TRY(writer.write(posix_env(), folder / "t.gguf"));
  return open_tokenizer(TRY(Gguf::parse(TRY(read_file(posix_env(), folder / "t.gguf", 1 << 26)))), room());
}

std::unique_ptr<Tokenizer> opened(const Parts& parts) {
  auto tokenizer = open(parts);
  if (!tokenizer.ok()) ADD_FAILURE() << std::move(tokenizer).status().text();
  return std::move(tokenizer).value();
}

// GPT-2's spelling of a byte.
std::string spelled(unsigned char byte) {
  const auto itself = [](int b) { return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE; };
  char32_t code = byte;
  if (!itself(byte)) {
    code = 0x100;
    for (int b = 0; b < byte; ++b) code += !itself(b);
  }
  std::string text;
  unicode::append(code, text);
  return text;
}

// All bytes, some merges, one end of text and one user-defined token.
Parts byte_level() {
  Parts parts{.model = "gpt2", .pre = "gpt-2"};
  for (int b = 0; b < 256; ++b) parts.add(spelled(static_cast<unsigned char>(b)));
  const auto merge = [&](const std::string& left, const std::string& right) {
    parts.merges.push_back(left + " " + right);
    parts.add(left + right);
  };
  merge("a", "a");
  merge("aa", "aa");
  merge("h", "e");
  merge("l", "l");
  merge("he", "ll");
  merge("hell", "o");
  merge(spelled(' '), "hello");
  merge(spelled(0xC3), spelled(0xA9));
  parts.add("<|im_end|>", 3);
  parts.add("<tool>", 4);
  return parts;
}

Parts sentence_piece() {
  Parts parts{.model = "llama"};
  parts.add("<unk>", 2);
  parts.add("<s>", 3);
  parts.add("</s>", 3);
  constexpr char kHex[] = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b) {
    parts.add(std::string("<0x") + kHex[b / 16] + kHex[b % 16] + ">", 6);
  }
  double score = 0;
  for (const char* text : {"▁", "h", "e", "l", "o", "▁▁", "ll", "he", "hell", "▁hell", "▁hello"}) {
    parts.add(text, 1, --score);
  }
  return parts;
}

Ids encoded(const Tokenizer& tokenizer, std::string_view text, bool special = false) {
  Ids out;
  tokenizer.encode(text, special, out);
  return out;
}

std::vector<std::string> pieces(const Tokenizer& tokenizer, std::string_view text, bool special = false) {
  std::vector<std::string> out;
  for (const Token token : encoded(tokenizer, text, special))
    tokenizer.decode(token, true, out.emplace_back());
  return out;
}

using Texts = std::vector<std::string>;

TEST(Bpe, MergesInTheOrderOfTheList) {
  const auto tokenizer = opened(byte_level());
  EXPECT_EQ(pieces(*tokenizer, "hello hello"), (Texts{"hello", " hello"}));
  EXPECT_EQ(pieces(*tokenizer, "helo"), (Texts{"he", "l", "o"}));
  EXPECT_EQ(pieces(*tokenizer, "aaaaaaa"), (Texts{"aaaa", "aa", "a"}));
  EXPECT_EQ(pieces(*tokenizer, "é\xC3"), (Texts{"é", "\xC3"}));
  EXPECT_EQ(tokenizer->piece(encoded(*tokenizer, " hello")[0]), " hello");
}

TEST(Bpe, PassesThroughTextsThatAreNoTokens) {
  Parts parts = byte_level();
  parts.merges = {"h e", "he l", "hel l"};  // "hel" is no token, "hell" is
  EXPECT_EQ(pieces(*opened(parts), "hell hel"), (Texts{"hell", " ", "h", "e", "l"}));
}

TEST(Spm, MergesByScoreAndSpellsTheRestInBytes) {
  const auto tokenizer = opened(sentence_piece());
  EXPECT_EQ(pieces(*tokenizer, "hello"), (Texts{" hello"}));
  EXPECT_EQ(pieces(*tokenizer, "  hello"), (Texts{"  ", " hello"}));
  EXPECT_EQ(pieces(*tokenizer, "hé"), (Texts{" ", "h", "\xC3", "\xA9"}));
  EXPECT_EQ(detokenize(*tokenizer, encoded(*tokenizer, "hello  hello")), "hello  hello");
  EXPECT_EQ(tokenizer->special().bos, 1);
  EXPECT_TRUE(tokenizer->special().add_bos);
}

TEST(Spm, AVocabularyThatReachesAcrossWordsIsHeeded) {
  Parts parts = sentence_piece();
  parts.add("o▁", 1, 100);
  EXPECT_EQ(pieces(*opened(parts), "hello hello"), (Texts{" hell", "o ", "hell", "o"}));
}

TEST(Special, ControlTokensComeOnlyWhenAskedAndUserDefinedOnesAlways) {
  const auto tokenizer = opened(byte_level());
  const Texts plain{"<", "|", "i", "m", "_", "e", "n", "d", "|", ">"};
  EXPECT_EQ(pieces(*tokenizer, "<|im_end|>"), plain);
  EXPECT_EQ(pieces(*tokenizer, "<|im_end|>", true), (Texts{"<|im_end|>"}));
  EXPECT_EQ(pieces(*tokenizer, "he<tool>he"), (Texts{"he", "<tool>", "he"}));
  const Ids ids = encoded(*tokenizer, "<|im_end|>", true);
  EXPECT_EQ(tokenizer->special().end_of_generation, ids);
  EXPECT_EQ(tokenizer->special().eot, ids[0]);
  EXPECT_EQ(detokenize(*tokenizer, ids), "");
  EXPECT_EQ(tokenizer->piece(ids[0]), "");
  EXPECT_TRUE(tokenizer->is_control(ids[0]));
  EXPECT_FALSE(tokenizer->is_control(-1));
  EXPECT_EQ(tokenizer->piece(1 << 20), "");
}

TEST(Special, TheLongestOfTheLeftmostWins) {
  Parts parts = byte_level();
  parts.add("<tool>x", 4);
  EXPECT_EQ(pieces(*opened(parts), "<tool>xy<tool>"), (Texts{"<tool>x", "y", "<tool>"}));
}

TEST(Special, MarksOfPhi3SwallowTheSpaceAfterThem) {
  Parts parts = sentence_piece();
  parts.add("<|user|>", 3);
  parts.more = [](GgufWriter& writer) { writer.set("general.name", std::string("Phi-3 mini")); };
  EXPECT_EQ(pieces(*opened(parts), "<|user|>\n hello", true), (Texts{"<|user|>", " hello"}));
  parts.more = [](GgufWriter&) {};
  EXPECT_EQ(pieces(*opened(parts), "<|user|>\n", true), (Texts{"<|user|>", " ", "\n"}));
}

TEST(Special, ATextMarkThatEndsTurnsIsNeverPlainText) {
  Parts parts = byte_level();
  parts.types[parts.tokens.size() - 2] = 1;  // <|im_end|>, wrongly declared normal
  EXPECT_EQ(pieces(*opened(parts), "<|im_end|>").size(), 10u);
  EXPECT_EQ(pieces(*opened(parts), "<|im_end|>", true).size(), 1u);
}

TEST(TokenizePrompt, AddsWhatTheModelAsksForOnce) {
  Parts parts = sentence_piece();
  parts.more = [](GgufWriter& writer) { writer.set("tokenizer.ggml.add_eos_token", true); };
  const auto tokenizer = opened(parts);
  EXPECT_EQ(tokenize_prompt(*tokenizer, ""), (Ids{1, 2}));
  const Ids once = tokenize_prompt(*tokenizer, "hello");
  EXPECT_EQ(once.size(), 3u);
  EXPECT_EQ(tokenize_prompt(*tokenizer, "<s>hello</s>"), once);
}

TEST(TokenizerFile, SaysWhatIsWrong) {
  EXPECT_EQ(open({.model = "none"}).code(), Code::invalid);
  EXPECT_EQ(open({.model = "gpt2"}).code(), Code::invalid);
  const auto with = [](Parts parts, const std::function<void(Parts&)>& change) {
    change(parts);
    return open(parts).code();
  };
  EXPECT_EQ(with(byte_level(), [](Parts& p) { p.model = "telepathy"; }), Code::unsupported);
  EXPECT_EQ(with(byte_level(), [](Parts& p) { p.pre = "telepathy"; }), Code::unsupported);
  EXPECT_EQ(with(byte_level(), [](Parts& p) { p.types.pop_back(); }), Code::corrupt);
  EXPECT_EQ(with(byte_level(), [](Parts& p) { p.types[3] = 7; }), Code::corrupt);
  EXPECT_EQ(with(byte_level(), [](Parts& p) { p.merges.push_back("nopair"); }), Code::corrupt);
  EXPECT_EQ(with(byte_level(), [](Parts& p) { p.add(std::string(300, 'x'), 3); }), Code::corrupt);
  EXPECT_EQ(with(sentence_piece(), [](Parts& p) { p.scores.pop_back(); }), Code::corrupt);
  EXPECT_EQ(with(sentence_piece(), [](Parts& p) { p.scores[5] = NAN; }), Code::corrupt);
  EXPECT_EQ(with(sentence_piece(), [](Parts& p) { p.tokens[9] = "<0xZZ>"; }), Code::corrupt);
  EXPECT_EQ(with(sentence_piece(),
                 [](Parts& p) {
                   p.more = [](GgufWriter& writer) { writer.set("tokenizer.ggml.bos_token_id", 4000000u); };
                 }),
            Code::corrupt);
}

TEST(RoundTrip, AnyBytesComeBack) {
  const auto bpe = opened(byte_level()), spm = opened(sentence_piece());
  const std::string_view parts[] = {"hello", " ",      "\n",  "aaaa", "é",    "<|im_end|>",
                                    "<s>",   "<0x41>", "😀",   "\xFF", "\xC3", "\x80",
                                    "中",    "\0",     "''s", "123",  "\t",   "</s>"};
  for (uint64_t seed = 0; seed < 300; ++seed) {
    std::string text;
    for (uint64_t i = 0; i < seed % 40; ++i) {
      const uint32_t bits = random_bits({.seed = seed}, i);
      text += bits % 3 ? parts[bits / 3 % std::size(parts)] : std::string(1, static_cast<char>(bits >> 24));
    }
    EXPECT_EQ(detokenize(*bpe, encoded(*bpe, text)), text);
    EXPECT_EQ(detokenize(*spm, encoded(*spm, text)), text);
    for (const Token token : encoded(*bpe, text)) EXPECT_FALSE(bpe->is_control(token));
    for (const Token token : encoded(*spm, text)) EXPECT_FALSE(spm->is_control(token));
  }
}

// A merge or a search that is quadratic in a run takes many minutes for these.
TEST(RoundTrip, LongRunsOfOneKindAreNoTrouble) {
  Parts across = sentence_piece();
  across.add("o▁", 1, -50);
  const auto bpe = opened(byte_level()), spm = opened(sentence_piece()), whole = opened(across);
  for (const std::string_view unit : {"a", " ", "\u0301", "\xFF", "<", "hello"}) {
    std::string text;
    while (text.size() < 150'000) text += unit;
    for (const auto* tokenizer : {&bpe, &spm, &whole}) {
      EXPECT_EQ(detokenize(**tokenizer, encoded(**tokenizer, text, true)), text);
    }
  }
}

TEST(Utf8Stream, HoldsBackHalfACharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xF0\x9F"), "a");
  EXPECT_EQ(stream.push("\x98"), "");
  EXPECT_EQ(stream.push("\x80!"), "😀!");
  EXPECT_EQ(stream.push("\xC3"), "");
  EXPECT_EQ(stream.push("x"), "\uFFFDx");
  EXPECT_EQ(stream.push("\xE0\x80"), "\uFFFD\uFFFD");  // can become nothing
  EXPECT_EQ(stream.push("\xE2\x82"), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, AnyCutGivesTheSame) {
  const std::string text = "é中😀a\u0301\n";
  for (size_t first = 0; first <= text.size(); ++first) {
    for (size_t second = first; second <= text.size(); ++second) {
      Utf8Stream stream;
      std::string all = stream.push(text.substr(0, first));
      all += stream.push(text.substr(first, second - first));
      all += stream.push(text.substr(second));
      EXPECT_EQ(all + stream.finish(), text);
    }
  }
}

}  // namespace
}  // namespace varve
