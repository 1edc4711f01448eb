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

}  // namespace
}  // namespace varve
