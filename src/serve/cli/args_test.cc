#include "serve/cli/args.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

Args args(std::vector<std::string> words) {
  return Args(words);
}

TEST(Args, takes_flags_and_values_from_anywhere) {
  Args a = args({"hello", "--json", "--model", "m.gguf", "world", "--seed=7"});
  EXPECT_TRUE(a.flag("--json"));
  EXPECT_FALSE(a.flag("--yes"));
  EXPECT_EQ(**a.value("--model"), "m.gguf");
  uint64_t seed = 0;
  EXPECT_TRUE(a.number<uint64_t>("--seed", seed, 0, 100).ok());
  EXPECT_EQ(seed, 7u);
  EXPECT_EQ(*a.rest(2, 2, "two words"), (std::vector<std::string>{"hello", "world"}));
}

TEST(Args, a_flag_that_nobody_takes_is_invalid) {
  EXPECT_EQ(args({"--jsno"}).rest(0, 9, "nothing").code(), Code::invalid);
  EXPECT_EQ(args({"-x"}).rest(0, 9, "nothing").code(), Code::invalid);
}

TEST(Args, after_two_dashes_everything_is_a_word) {
  Args a = args({"--", "--json", "--seed"});
  EXPECT_FALSE(a.flag("--json"));
  EXPECT_FALSE((*a.value("--seed")).has_value());
  EXPECT_EQ(*a.rest(0, 9, "words"), (std::vector<std::string>{"--json", "--seed"}));
}

TEST(Args, a_value_that_is_missing_or_out_of_range_is_invalid) {
  EXPECT_EQ(args({"--model"}).value("--model").code(), Code::invalid);
  int32_t n = 5;
  EXPECT_EQ(args({"-n", "0"}).number<int32_t>("-n", n, 1, 9).code(), Code::invalid);
  EXPECT_EQ(args({"-n", "3x"}).number<int32_t>("-n", n, 1, 9).code(), Code::invalid);
  float t = 1;
  EXPECT_EQ(args({"--t", "nan"}).number<float>("--t", t, 0, 9).code(), Code::invalid);
  EXPECT_EQ(n, 5);
}

TEST(Args, the_last_value_counts) {
  EXPECT_EQ(**args({"--a", "1", "--a=2"}).value("--a"), "2");
}

TEST(Args, counts_its_words) {
  EXPECT_EQ(args({}).rest(1, 1, "an id").code(), Code::invalid);
  EXPECT_EQ(args({"a", "b"}).rest(1, 1, "an id").code(), Code::invalid);
}

}  // namespace
}  // namespace varve
