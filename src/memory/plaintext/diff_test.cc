#include "memory/plaintext/diff.h"

#include <gtest/gtest.h>

#include "core/base/rng.h"

namespace varve {
namespace {

std::string shown(std::string_view before, std::string_view after) {
  std::string text;
  for (const DiffPart& part : diff_texts(before, after)) {
    const bool same = part.kind == DiffPart::Kind::same;
    text += same ? std::string(part.text)
                 : (part.kind == DiffPart::Kind::added ? "{+" : "{-") + std::string(part.text) + "}";
  }
  return text;
}

TEST(Diff, ShowsTheWordsThatChanged) {
  EXPECT_EQ(shown("lives in Berlin now", "lives in Paris now"), "lives in {-Berlin }{+Paris }now");
  EXPECT_EQ(shown("same", "same"), "same");
  EXPECT_EQ(shown("", "new"), "{+new}");
  EXPECT_EQ(shown("a b c", "a c"), "a {-b }c");
}

TEST(Diff, AnyTwoTextsComeBackFromTheirParts) {
  const std::string_view words[] = {"a ", "b ", "c\n", "dd", "\n", " "};
  for (uint64_t seed = 0; seed < 300; ++seed) {
    std::string texts[2];
    uint64_t drawn = 0;
    const uint64_t pieces = seed % 10 == 0 ? 3000 : seed % 50;
    for (std::string& text : texts) {
      for (uint64_t i = 0; i < pieces; ++i) text += words[random_bits({.seed = seed}, drawn++) % 6];
    }
    std::string before, after;
    for (const DiffPart& part : diff_texts(texts[0], texts[1])) {
      if (part.kind != DiffPart::Kind::added) before += part.text;
      if (part.kind != DiffPart::Kind::removed) after += part.text;
    }
    EXPECT_EQ(before, texts[0]);
    EXPECT_EQ(after, texts[1]);
  }
}

}  // namespace
}  // namespace varve
