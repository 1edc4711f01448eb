// Lines and widths of codes by weighted errors.
#include "learn/compress/method/round.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace varve {
namespace {

// Groups whose errors count more get more bits, in the same bytes.
TEST(FitBlock, bits_go_where_errors_count) {
  const Codec& codec = *codec_named("slim2").value();
  const Grid& grid = *grid_of(codec);
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(codec.block_values()), even(x.size(), 1.f), importance(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = normal(random);
    importance[i] = i / grid.group % 2 == 0 ? 1.f : 30.f;
  }
  alignas(2) std::byte block[256];
  std::vector<codec::Line> lines(x.size() / grid.group);
  const auto loss = [&](const std::vector<float>& by) {
    fit_block(grid, x, by, block, lines);
    write_codes(grid, lines, x, block);
    std::vector<float> back(x.size());
    codec.decode({block, codec.block_bytes()}, back);
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i)
      sum += double(importance[i]) * double(x[i] - back[i]) * double(x[i] - back[i]);
    return sum;
  };
  const double blind = loss(even);
  EXPECT_LT(loss(importance), 0.6 * blind);
  size_t together = 0;
  for (size_t group = 0; group < lines.size(); ++group) {
    EXPECT_EQ(grid.width_of(group, block), group % 2 == 0 ? 1u : 3u) << group;
    together += grid.width_of(group, block);
  }
  EXPECT_EQ(together, grid.widths);
}

}  // namespace
}  // namespace varve
