#include <gtest/gtest.h>

#include <map>

#include "core/base/rng.h"
#include "run/model/tokenizer/charsmap.h"
#include "run/model/tokenizer/vocabulary.h"

namespace varve {
namespace {

using Texts = std::vector<std::string>;

const std::map<std::string, float> kScores = {{"▁", -3},   {"a", -4},     {"b", -4.5f},
                                              {"ab", -5},  {"▁a", -4.2f}, {"ba", -6},
                                              {"bab", -8}, {"é", -5},     {"▁▁", -5}};

Vocabulary vocabulary() {
  Vocabulary all;
  const auto add = [&](std::string_view text, TokenKind kind, float score) {
    all.texts.add(text);
    all.kinds.push_back(kind);
    all.scores.push_back(score);
  };
  add("<unk>", TokenKind::unknown, 0);
  add("</s>", TokenKind::control, 0);
  for (const auto& [text, score] : kScores) add(text, TokenKind::normal, score);
  all.special.unknown = 0;
  return all;
}

Texts pieces(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<Token> tokens;
  tokenizer.encode(text, false, tokens);
  Texts out;
  for (const Token token : tokens) tokenizer.decode(token, true, out.emplace_back());
  return out;
}

double score_of(std::string_view piece) {
  const auto found = kScores.find(std::string(piece));
  return found == kScores.end() ? -18 : found->second;  // unknown: ten below the least
}

// The best score of all ways to cut, by trying them.
double best_score(std::string_view text) {
  if (text.empty()) return 0;
  double best = -1e9;
  for (size_t n = 1; n <= text.size(); ++n) {
    const std::string_view piece = text.substr(0, n);
    if (n > 1 && !kScores.contains(std::string(piece))) continue;
    best = std::max(best, score_of(piece) + best_score(text.substr(n)));
  }
  return best;
}

TEST(Unigram, FindsTheMostProbableTokens) {
  const auto tokenizer = make_unigram(vocabulary(), {}).value();
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::string text;
    for (uint64_t i = 0; i < 1 + seed % 12; ++i) text += "ab"[random_bits({.seed = seed}, i) % 2];
    double score = 0;
    std::string joined;
    for (const std::string& piece : pieces(*tokenizer, text)) {
      score += score_of(piece);
      joined += piece;
    }
    EXPECT_NEAR(score, best_score(text), 1e-4) << text;
    EXPECT_EQ(joined, text);
  }
}

TEST(Unigram, ARunOfUnknownCharactersIsOneToken) {
  const auto tokenizer = make_unigram(vocabulary(), {}).value();
  EXPECT_EQ(pieces(*tokenizer, "axyza"), (Texts{"a", "<unk>", "a"}));
  EXPECT_EQ(pieces(*tokenizer, "\xFF"), (Texts{"<unk>"}));
}

TEST(Unigram, TreatsSpacesAsTheModelAsks) {
  const auto plain = make_unigram(vocabulary(), {}).value();
  EXPECT_EQ(pieces(*plain, "a  a "), (Texts{"a", " ", " a", " "}));
  const auto prefix = make_unigram(vocabulary(), {.space_prefix = true}).value();
  EXPECT_EQ(pieces(*prefix, "a a"), (Texts{" a", " a"}));
  const auto merged = make_unigram(vocabulary(), {.space_prefix = true, .merge_spaces = true}).value();
  EXPECT_EQ(pieces(*merged, "  a   a  "), (Texts{" a", " a"}));
}

// A trie by hand: "A" becomes "a", "AB" becomes "b".
std::string compiled() {
  std::vector<uint32_t> units(1024);
  const auto unit = [](uint32_t children, bool ends, unsigned char label) {
    return children << 10 | uint32_t(ends) << 8 | label;
  };
  units[0] = unit(256, false, 0);
  const uint32_t a = 256 ^ 'A', a_children = 512 ^ a, ab = 512 ^ 'B', ab_children = 768 ^ ab;
  units[a] = unit(a_children, true, 'A');
  units[512] = 1u << 31 | 0;  // the value of "A": where "a" begins
  units[ab] = unit(ab_children, true, 'B');
  units[768] = 1u << 31 | 2;
  const auto bytes = static_cast<uint32_t>(units.size() * sizeof(uint32_t));
  std::string out(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  out.append(reinterpret_cast<const char*>(units.data()), bytes);
  return out + std::string("a\0b\0", 4);
}

TEST(Charsmap, ReplacesTheLongest) {
  const Charsmap map = Charsmap::parse(compiled()).value();
  EXPECT_EQ(map.normalize("AxABAA"), "axbaa");
  EXPECT_EQ(map.normalize("é\xFF"), "é\uFFFD");
  EXPECT_EQ(Charsmap().normalize("AB"), "AB");
  const auto tokenizer = make_unigram(vocabulary(), {.charsmap = compiled()}).value();
  EXPECT_EQ(pieces(*tokenizer, "AAB"), (Texts{"ab"}));
}

TEST(Charsmap, SurvivesDamage) {
  std::string damaged = compiled();
  for (size_t i = 0; i < 3000; ++i) {
    damaged[random_bits({.seed = 3}, 2 * i) % damaged.size()] ^=
        static_cast<char>(random_bits({.seed = 3}, 2 * i + 1));
    auto map = Charsmap::parse(damaged);
    if (map.ok()) map->normalize("ABABAB\xFF AB");
    if (i % 20 == 0) damaged = compiled();
  }
  EXPECT_EQ(Charsmap::parse("abc").code(), Code::corrupt);
  EXPECT_EQ(Charsmap::parse(compiled() + "x").code(), Code::corrupt);
}

}  // namespace
}  // namespace varve
