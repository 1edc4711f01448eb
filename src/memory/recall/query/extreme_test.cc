#include "memory/recall/query/extreme.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

using Words = std::vector<std::string>;

Words answers(std::string_view question, std::string_view text) {
  const auto extreme = read_extreme(question);
  EXPECT_TRUE(extreme.has_value()) << question;
  Words all;
  if (!extreme) return all;
  for (const Number& one : numbers_for(*extreme, text)) all.push_back(one.words);
  return all;
}

TEST(Extreme, QuestionsForAnExtremeAreTold) {
  const auto bought = read_extreme("What is the most expensive thing I bought?");
  ASSERT_TRUE(bought.has_value());
  EXPECT_TRUE(bought->greatest);
  EXPECT_EQ(bought->measures, std::vector<Quantity>{Quantity::money});
  EXPECT_EQ(bought->terms.size(), 1u);
  EXPECT_EQ(read_extreme("my three highest scores")->k, 3);
  EXPECT_EQ(read_extreme("my top 5 highest scores")->k, 5);
  EXPECT_EQ(read_extreme("list my scores from highest to lowest")->k, INT32_MAX);
  EXPECT_FALSE(read_extreme("the cheapest hotel")->greatest);
  for (const char* text :
       {"the longest run I did this year", "my longest run last month", "longest run in 2023"})
    EXPECT_EQ(read_extreme(text)->terms.size(), 1u) << text;
}

TEST(Extreme, OtherQuestionsAreNot) {
  for (const char* text : {"What did I buy?", "the most beautiful thing I bought", "What is the longest?",
                           "How much did the jacket cost?", "my fastest 10 km run", "my best friend", "",
                           "Who do I like the most?"})
    EXPECT_FALSE(read_extreme(text).has_value()) << text;
}

TEST(Extreme, ANumberMustGoWithTheTerm) {
  const char* bought = "What is the most expensive thing I bought?";
  EXPECT_EQ(answers(bought, "Bought a shirt for $20 and shoes for $150."), Words{"$150"});
  EXPECT_EQ(answers(bought, "I paid 90 dollars for it."), Words{"90 dollars"});
  EXPECT_EQ(answers(bought, "I purchased a bag for 80 pounds."), Words{"80 pounds"});
  for (const char* text :
       {"I bought 3 apples.", "I bought a car. Rent is $900.", "Should I buy the $5000 bike?",
        "I did not buy the $700 coat.", "I would pay $400 for that.", "I bought it in 2021."})
    EXPECT_EQ(answers(bought, text), Words{}) << text;
  const char* score = "What is my highest bowling score?";
  EXPECT_EQ(answers(score, "My bowling score was 182 on May 5."), Words{"182"});
  EXPECT_EQ(answers("my highest score", "I scored 95 points at 3 games"), Words{"95"});
  for (const char* text :
       {"We had 12 people at bowling, what a score!", "The score of bowling on 2023-05-08"})
    EXPECT_EQ(answers(score, text), Words{}) << text;
  EXPECT_EQ(answers("the longest run", "I ran 12 km in 1 hour 5 minutes"),
            (Words{"12 km", "1 hour 5 minutes"}));
  EXPECT_EQ(answers("the longest run", "The run weighed 12 kg"), Words{});
  EXPECT_EQ(numbers_for(*read_extreme("Ann's highest score"), "I scored 90", "Ann")[0].words, "90");
  EXPECT_TRUE(numbers_for(*read_extreme("Ann's highest score"), "I scored 90", "Bob").empty());
  EXPECT_EQ(answers("the heaviest pumpkin", "My pumpkin weighed 30 pounds"), Words{"30 pounds"});
}

}  // namespace
}  // namespace varve
