#include "learn/compress/allot/allocate.h"

#include <gtest/gtest.h>

#include <random>

namespace varve {
namespace {

TEST(Allocate, spends_bytes_where_they_save_most) {
  const std::vector<std::vector<Option>> items = {{{10, 8}, {20, 1}}, {{10, 4}, {20, 3}}};
  EXPECT_EQ(allocate(items, 30).value(), (std::vector<size_t>{1, 0}));
  EXPECT_EQ(allocate(items, 40).value(), (std::vector<size_t>{1, 1}));
  EXPECT_EQ(allocate(items, 20).value(), (std::vector<size_t>{0, 0}));
}

TEST(Allocate, says_what_the_least_is) {
  const std::vector<std::vector<Option>> items = {{{10, 8}, {20, 1}}, {{12, 4}}};
  auto none = allocate(items, 21);
  EXPECT_EQ(none.code(), Code::invalid);
  EXPECT_NE(std::move(none).status().message().find("22 bytes"), std::string::npos);
}

TEST(Allocate, takes_no_option_that_another_beats) {
  const std::vector<std::vector<Option>> items = {{{10, 8}, {20, 9}, {30, 2}}};
  EXPECT_EQ(allocate(items, 29).value(), std::vector<size_t>{0});
  EXPECT_EQ(allocate(items, 30).value(), std::vector<size_t>{2});
}

// Against every combination.
TEST(Allocate, is_near_the_best_and_never_over_the_limit) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::vector<Option>> items(5);
    int64_t least = 0, most = 0;
    double spread = 0;
    for (auto& options : items) {
      int64_t bytes = 10 + int64_t(random() % 20);
      double loss = double(random() % 1000);
      for (int i = 0; i < 3; ++i, bytes += 5 + int64_t(random() % 20), loss *= 0.5)
        options.push_back({bytes, loss});
      least += options.front().bytes, most += options.back().bytes;
      spread = std::max(spread, options.front().loss);
    }
    const int64_t limit = least + int64_t(random() % uint32_t(most - least + 1));
    const auto chosen = allocate(items, limit).value();
    double best = 1e300, got = 0;
    int64_t bytes = 0;
    for (size_t i = 0; i < items.size(); ++i)
      got += items[i][chosen[i]].loss, bytes += items[i][chosen[i]].bytes;
    for (int all = 0; all < 243; ++all) {
      int64_t its_bytes = 0;
      double loss = 0;
      for (int i = 0, left = all; i < 5; ++i, left /= 3)
        its_bytes += items[size_t(i)][size_t(left % 3)].bytes,
            loss += items[size_t(i)][size_t(left % 3)].loss;
      if (its_bytes <= limit) best = std::min(best, loss);
    }
    EXPECT_LE(bytes, limit);
    EXPECT_LE(got, best + spread) << "at most one step is missing";
  }
}

}  // namespace
}  // namespace varve
