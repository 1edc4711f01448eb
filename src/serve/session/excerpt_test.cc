#include "serve/session/excerpt.h"

#include <gtest/gtest.h>

#include "serve/session/scripted_engine_test.h"

namespace varve {
namespace {

// A text answers the better the more often it says what the query asks for.
class Counts : public Scorer {
 public:
  Result<std::vector<float>> score(std::string_view query, std::span<const std::string_view> texts) override {
    std::vector<float> scores;
    for (const std::string_view text : texts) {
      float found = 0;
      for (size_t at = text.find("ship"); at != std::string_view::npos; at = text.find("ship", at + 1))
        ++found;
      scores.push_back(query.find("ship") != std::string_view::npos ? found : 0);
      longest = std::max(longest, text.size());
    }
    return scores;
  }
  size_t longest = 0;
};

std::string lines(int first, int end, const std::string& of) {
  std::string words;
  for (int i = first; i < end; ++i) words += "Line " + std::to_string(i) + " speaks of " + of + ".\n";
  return words;
}

TEST(Excerpts, KeepThePartsThatAnswerInTheirOrderAndTheQuestionWhole) {
  const ByteTokenizer tokenizer;
  Counts scorer;
  const std::string words = lines(0, 100, "birds") + lines(100, 110, "ships") + lines(110, 300, "hills") +
                            lines(300, 310, "ships") + lines(310, 320, "birds") + "Where are the ships?";
  auto made = excerpt(scorer, tokenizer, words, 1000);
  ASSERT_TRUE(made.ok()) << std::move(made).status().text();
  EXPECT_LE(made->text.size(), 1000u);
  EXPECT_LE(scorer.longest, 200u);
  EXPECT_GT(made->kept, 3);
  EXPECT_LT(made->kept, made->of / 4);
  for (int i : {103, 105, 303, 305})
    EXPECT_NE(made->text.find("Line " + std::to_string(i) + " speaks of ships.\n"), std::string::npos) << i;
  EXPECT_LT(made->text.find("Line 103"), made->text.find("Line 303"));
  EXPECT_NE(made->text.find("[...]\n"), std::string::npos);
  EXPECT_EQ(made->text.substr(made->text.size() - 20), "Where are the ships?");
}

TEST(Excerpts, WhatFitsStaysAsItIsAndAQuestionThatDoesNotIsRefused) {
  const ByteTokenizer tokenizer;
  Counts scorer;
  for (const std::string words : {"One. Two.\nThree.\nAnd four?", "No lines here. Is that so?", "a", ""}) {
    auto all = excerpt(scorer, tokenizer, words, 500);
    ASSERT_TRUE(all.ok());
    EXPECT_EQ(all->text, words);
    EXPECT_EQ(all->kept, all->of);
  }
  EXPECT_EQ(excerpt(scorer, tokenizer, "One.\nAnd a question?", 5).code(), Code::invalid);
  const auto endless = excerpt(scorer, tokenizer, std::string(3000, 'a') + "\nq", 500);
  ASSERT_TRUE(endless.ok());
  EXPECT_GT(endless->kept, 1) << "words without an end are cut where they must be";
}

}  // namespace
}  // namespace varve
