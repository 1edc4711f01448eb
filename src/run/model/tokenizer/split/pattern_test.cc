#include "run/model/tokenizer/split/pattern.h"

#include <gtest/gtest.h>

#include "core/base/rng.h"
#include "run/model/tokenizer/split/names_table.h"
#include "run/model/tokenizer/split/pre_tokenizer.h"

namespace varve {
namespace {

using Pieces = std::vector<std::string_view>;

Pieces cut(std::string_view expression, std::string_view text) {
  Pieces pieces;
  auto pattern = Pattern::compile(expression);
  if (!pattern.ok()) ADD_FAILURE() << std::move(pattern).status().text();
  std::move(pattern).value().split(text, pieces);
  return pieces;
}

TEST(Pattern, PrefersTheFirstAlternativeAndTheLongestRepetition) {
  EXPECT_EQ(cut("a|ab", "abab"), (Pieces{"a", "b", "a", "b"}));
  EXPECT_EQ(cut("ab|a", "aba"), (Pieces{"ab", "a"}));
  EXPECT_EQ(cut("a{2,3}", "aaaaa-a"), (Pieces{"aaa", "aa", "-a"}));
  EXPECT_EQ(cut("a*b", "aaac aab"), (Pieces{"aaac ", "aab"}));
  EXPECT_EQ(cut("a*", "baa"), (Pieces{"b", "aa"}));  // an empty match is none
  EXPECT_EQ(cut("(?:ab)+c?", "ababcab"), (Pieces{"ababc", "ab"}));
  EXPECT_EQ(cut("(?i:don't)|t", "DON'Tt"), (Pieces{"DON'T", "t"}));
}

TEST(Pattern, LooksOneCharacterAhead) {
  EXPECT_EQ(cut(R"(\s+(?!\S)|\s+|\S+)", "a   b  "), (Pieces{"a", "  ", " ", "b", "  "}));
  EXPECT_EQ(cut(R"(\s+$)", " a  b  "), (Pieces{" a  b", "  "}));
  EXPECT_EQ(cut(R"(a(?=b)|b)", "aab"), (Pieces{"a", "a", "b"}));
}

TEST(Pattern, KnowsUnicodeAndTakesBrokenBytesOneByOne) {
  EXPECT_EQ(cut(R"(\p{Lu}\p{Ll}*)", "ÄpfelÉ1"), (Pieces{"Äpfel", "É", "1"}));
  EXPECT_EQ(cut(R"([^\p{L}\p{N}]+)", "中\u3000…é"), (Pieces{"中", "\u3000…", "é"}));
  EXPECT_EQ(cut(R"([\p{L}&&[^\p{Han}]]+)", "ab中c"), (Pieces{"ab", "中", "c"}));
  EXPECT_EQ(cut(R"(\p{L}+)", "a\xFF\xC3"), (Pieces{"a", "\xFF\xC3"}));
}

TEST(Pattern, SaysWhatItCannotDo) {
  for (const char* wrong : {"(", ")", "[", "a{2,1}", "\\p{", "*", "[b-a]", "\xFF", "a++b{"}) {
    EXPECT_EQ(Pattern::compile(wrong).code(), Code::invalid) << wrong;
  }
  for (const char* beyond : {"(?<=a)b", "a+?", "(?!ab)", "\\p{Klingon}", "\\b", "a{9999}",
                             "(((a{99}){99}){99}){99}", "(((){999}){999}){999}"}) {
    EXPECT_EQ(Pattern::compile(beyond).code(), Code::unsupported) << beyond;
  }
}

Pieces words(std::string_view name, std::string_view text) {
  auto named = named_pre_tokenizer(name);
  if (!named.ok()) ADD_FAILURE() << std::move(named).status().text();
  Pieces pieces;
  std::move(named).value().splitter.split(text, pieces);
  return pieces;
}

TEST(PreTokenizer, CutsLikeTheModels) {
  const std::string_view text = "I'LL  pay $1234, 'ok'?\n\n";
  EXPECT_EQ(words("gpt-2", text),
            (Pieces{"I", "'", "LL", " ", " pay", " $", "1234", ",", " '", "ok", "'?", "\n\n"}));
  EXPECT_EQ(words("llama-bpe", text),
            (Pieces{"I", "'LL", " ", " pay", " $", "123", "4", ",", " '", "ok", "'?\n\n"}));
  EXPECT_EQ(words("qwen2", "x 12\ny"), (Pieces{"x", " ", "1", "2", "\n", "y"}));
  EXPECT_EQ(words("starcoder", "a12 b"), (Pieces{"a", "1", "2", " b"}));
  EXPECT_EQ(words("tekken", "helloWorld HTTPServer"), (Pieces{"hello", "World", " HTTPServer"}));
  EXPECT_EQ(words("deepseek-coder", "a = b1\n"), (Pieces{"a", " =", " b", "1", "\n"}));
  EXPECT_EQ(words("gemma4", "a b\n\nc"), (Pieces{"a b", "\n\n", "c"}));
}

TEST(PreTokenizer, GroupsDigitsFromTheRightWhereAsked) {
  EXPECT_EQ(words("superbpe", "year 1234567x"), (Pieces{"year ", "1", "234", "567", "x"}));
  EXPECT_EQ(words("tiny_aya", "1234 1234x"), (Pieces{"1", "234", " ", "123", "4", "x"}));
}

TEST(PreTokenizer, EveryNamedOneCompilesAndLosesNothing) {
  const std::string_view parts[] = {" ", "a",  "B",  "'s", "1",      "\n",     "\r", "\t",
                                    "é", "中", "़",   "!",  "_",      "\u3000", "ひ", "\xFF",
                                    "😀", "/",  "  ", "Z",  "\u00A0", "٣",      "ǅ"};
  std::string text;
  for (uint64_t i = 0; i < 500; ++i) text += parts[random_bits({.seed = 5}, i) % std::size(parts)];
  for (const NamedPasses& row : named_passes()) {
    const std::string_view name = row.names.substr(0, row.names.find(' '));
    std::string joined;
    for (const std::string_view word : words(name, text)) {
      EXPECT_FALSE(word.empty());
      joined += word;
    }
    EXPECT_EQ(joined, text) << name;
  }
}

TEST(PreTokenizer, NamesTheKnownOnes) {
  auto unknown = named_pre_tokenizer("telepathy");
  EXPECT_EQ(unknown.code(), Code::unsupported);
  EXPECT_NE(std::move(unknown).status().text().find("qwen2"), std::string::npos);
}

// Would take minutes if any pattern read a run again from each of its characters.
TEST(Pattern, TakesLinearTime) {
  for (const std::string_view unit : {" ", "a", "A", "'", "1", "़", "\xFF", "\xC3", "中", "\n "}) {
    std::string text;
    while (text.size() < (1 << 15)) text += unit;
    text += "x";
    for (const NamedPasses& row : named_passes()) words(row.names.substr(0, row.names.find(' ')), text);
  }
}

}  // namespace
}  // namespace varve
