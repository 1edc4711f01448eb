#include "run/model/tokenizer/split/pattern.h"

#include <gtest/gtest.h>

#include <regex>

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

// Expressions that both engines understand, by a few random choices. Groups begin with one character: where a
// loop's body may be empty the two differ, and no tokenizer has such a loop.
std::string random_expression(uint64_t seed, uint64_t& step, int depth) {
  const auto pick = [&](uint32_t count) { return random_bits({.seed = seed}, step++) % count; };
  std::string out;
  out += "abc"[pick(3)];
  for (uint32_t parts = pick(3); parts > 0; --parts) {
    constexpr const char* kAtoms[] = {"a", "b", "c", "[ab]", "[^a]", "[b-c]"};
    const bool group = depth > 0 && pick(4) == 0;
    out += group ? "(?:" + random_expression(seed, step, depth - 1) + ")" : kAtoms[pick(6)];
    constexpr const char* kTimes[] = {"", "", "?", "*", "+", "{2}", "{1,2}", "{2,}"};
    out += kTimes[pick(8)];
    constexpr const char* kLooks[] = {"(?!a)", "(?=b)", "(?![ab])"};
    if (pick(8) == 0) out += kLooks[pick(3)];
  }
  if (pick(3) == 0) out += "|" + random_expression(seed, step, depth > 0 ? depth - 1 : 0);
  return out;
}

Pieces cut_by_backtracking(const std::regex& reference, std::string_view text) {
  Pieces pieces;
  size_t gap = 0;
  for (size_t at = 0; at < text.size();) {
    std::cmatch match;
    const bool found = std::regex_search(text.data() + at, text.data() + text.size(), match, reference,
                                         std::regex_constants::match_continuous);
    if (!found || match.length() == 0) {
      ++at;
      continue;
    }
    if (at > gap) pieces.push_back(text.substr(gap, at - gap));
    pieces.push_back(text.substr(at, size_t(match.length())));
    gap = at += size_t(match.length());
  }
  if (gap < text.size()) pieces.push_back(text.substr(gap));
  return pieces;
}

TEST(Pattern, AgreesWithABacktrackingEngine) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    uint64_t step = 0;
    const std::string expression = random_expression(seed, step, 2);
    const std::regex reference(expression);
    for (int i = 0; i < 8; ++i) {
      std::string text;
      while (text.size() < 12) text += "abcd"[random_bits({.seed = seed}, step++) % 4];
      ASSERT_EQ(cut(expression, text), cut_by_backtracking(reference, text)) << expression << " on " << text;
    }
  }
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
  for (const NamedPasses& row : named_passes()) {
    const auto named = named_pre_tokenizer(row.names.substr(0, row.names.find(' '))).value();
    for (const std::string_view unit : {" ", "a", "A", "'", "1", "़", "\xFF", "\xC3", "中", "\n "}) {
      std::string text;
      while (text.size() < (1 << 15)) text += unit;
      text += "x";
      Pieces pieces;
      named.splitter.split(text, pieces);
      ASSERT_FALSE(pieces.empty());
    }
  }
}

}  // namespace
}  // namespace varve
