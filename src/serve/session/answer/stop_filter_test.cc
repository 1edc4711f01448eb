#include "serve/session/answer/stop_filter.h"

#include <gtest/gtest.h>

#include "core/base/rng.h"

namespace varve {
namespace {

TEST(StopFilter, lets_everything_through_without_stop_strings) {
  StopFilter filter({});
  EXPECT_EQ(filter.push("hello"), "hello");
  EXPECT_EQ(filter.finish(), "");
}

TEST(StopFilter, holds_back_what_may_become_a_stop_string) {
  StopFilter filter({"\nUser:"});
  EXPECT_EQ(filter.push("Hi.\nUs"), "Hi.");
  EXPECT_EQ(filter.push("ually"), "\nUsually");
  EXPECT_FALSE(filter.stopped());
}

TEST(StopFilter, cuts_at_the_earliest_stop_string_and_stays_shut) {
  StopFilter filter({"END", "stop"});
  EXPECT_EQ(filter.push("please st"), "please ");
  EXPECT_EQ(filter.push("op and END"), "");
  EXPECT_TRUE(filter.stopped());
  EXPECT_EQ(filter.push("more"), "");
  EXPECT_EQ(filter.finish(), "");
}

TEST(StopFilter, gives_back_at_the_end_what_was_only_a_beginning) {
  StopFilter filter({"###"});
  EXPECT_EQ(filter.push("a##"), "a");
  EXPECT_EQ(filter.finish(), "##");
}

// However the text is cut into pieces, what comes out is the text before its first stop string.
TEST(StopFilter, does_not_depend_on_how_the_text_is_cut) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const RngKey key{seed, 0, Site::test};
    std::string text;
    for (uint32_t i = 0; i < 24; ++i) text += "aab"[random_bits(key, i) % 3];
    const std::vector<std::string> stops = {"abab", "bb", "aaaa"};
    size_t end = text.size();
    for (const auto& stop : stops) end = std::min(end, text.find(stop));
    StopFilter filter(stops);
    std::string out;
    for (size_t at = 0, i = 100; at < text.size(); ++i) {
      const size_t take = 1 + random_bits(key, i) % 5;
      out += filter.push(std::string_view(text).substr(at, take));
      at += take;
    }
    out += filter.finish();
    ASSERT_EQ(out, text.substr(0, end)) << text;
  }
}

}  // namespace
}  // namespace varve
