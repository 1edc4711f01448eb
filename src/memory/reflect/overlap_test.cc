#include "memory/reflect/overlap.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(Overlap, an_answer_with_a_recalled_word_is_derived_from_it) {
  EXPECT_TRUE(
      repeats("Better not: satay is made of peanuts.", "I am allergic to peanuts.", "May I eat satay?"));
  EXPECT_TRUE(repeats("PEANUTS!", "I am allergic to peanuts.", "What must I avoid?"));
}

TEST(Overlap, words_that_the_user_said_do_not_count) {
  EXPECT_FALSE(repeats("Enjoy your satay.", "I ate satay in Berlin.", "May I eat satay?"));
}

TEST(Overlap, short_words_do_not_count) {
  EXPECT_FALSE(repeats("It is on the way to me.", "the cat is on my bed", "where?"));
}

TEST(Overlap, finds_words_in_scripts_without_spaces) {
  EXPECT_TRUE(repeats("对花生过敏", "我对花生过敏。", "我能吃沙爹吗"));
  EXPECT_FALSE(repeats("好的", "我对花生过敏。", "我能吃沙爹吗"));
}

TEST(Overlap, nothing_new_is_said_by_a_part_of_what_was_recalled) {
  EXPECT_TRUE(says_nothing_new("allergic to peanuts", "I am allergic to peanuts."));
  EXPECT_TRUE(says_nothing_new("I am ALLERGIC, to peanuts!", "I am allergic to peanuts."));
  EXPECT_FALSE(says_nothing_new("I am not allergic to peanuts", "I am allergic to peanuts."));
  EXPECT_FALSE(says_nothing_new("peanut", "I am allergic to peanuts."));
}

TEST(Overlap, the_likest_share_the_words_that_few_have) {
  const std::vector<std::string> known = {"The user lives in Oslo.", "The user's uncle lives in Rome.",
                                          "The user likes Rome.", "The user's car is red."};
  EXPECT_EQ(most_alike({"The user's uncle lives in Bern.", "The user's car is blue."}, known, 2),
            (std::vector<std::vector<size_t>>{{1, 0}, {3, 1}}));
  EXPECT_EQ(most_alike({"用户住在柏林。"}, {"用户喜欢茶。", "用户的车是红色的。", "用户住在罗马。"}, 1),
            (std::vector<std::vector<size_t>>{{2}}));
  EXPECT_EQ(most_alike({"Hm."}, known, 9), (std::vector<std::vector<size_t>>{{0, 1, 2, 3}}));
  EXPECT_EQ(most_alike({"a"}, {}, 2), (std::vector<std::vector<size_t>>{{}}));
  EXPECT_TRUE(most_alike({}, known, 2).empty());
}

}  // namespace
}  // namespace varve
