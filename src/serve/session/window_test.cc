#include "serve/session/window.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "core/base/rng.h"

namespace varve {
namespace {

TEST(Window, keeps_all_while_there_is_room) {
  EXPECT_EQ(window_start(std::vector<int32_t>{10, 20, 30}, 60), 0u);
  EXPECT_EQ(window_start({}, 60), 0u);
}

TEST(Window, drops_to_half_and_then_stays_for_long) {
  std::vector<int32_t> costs;
  size_t moves = 0, before = 0;
  for (int turn = 0; turn < 200; ++turn) {
    costs.push_back(10);
    const size_t start = window_start(costs, 400);
    ASSERT_GE(start, before);
    moves += start != before;
    before = start;
  }
  EXPECT_EQ(moves, 8u);  // (200 - 40) turns leave, 21 at a time
}

TEST(Window, a_turn_that_is_larger_than_the_room_leaves_at_once) {
  EXPECT_EQ(window_start(std::vector<int32_t>{5, 500}, 100), 2u);
}

TEST(Window, always_fits) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    std::vector<int32_t> costs;
    for (uint32_t i = 0; i < 40; ++i) {
      costs.push_back(int32_t(random_bits({seed, 0, Site::test}, i) % 90));
      const size_t start = window_start(costs, 200);
      ASSERT_LE(start, costs.size());
      ASSERT_LE(std::accumulate(costs.begin() + long(start), costs.end(), 0), 200);
    }
  }
}

}  // namespace
}  // namespace varve
