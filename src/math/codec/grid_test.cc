// What a grid says that a block holds is what the codec then decodes, code for code.
#include "math/codec/grid.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace varve {
namespace {

class EveryGrid : public testing::TestWithParam<std::string> {};

TEST_P(EveryGrid, holds_what_its_codec_decodes) {
  const Codec& codec = **codec_named(GetParam());
  const Grid* grid = grid_of(codec);
  if (grid == nullptr) GTEST_SKIP() << "no grid";
  std::mt19937 random(7);
  std::uniform_real_distribution<float> share(-1, 1);
  for (int round = 0; round < 20; ++round) {
    // Bytes of a former block must leave no trace.
    alignas(2) std::byte block[256];
    for (std::byte& byte : block) byte = std::byte(random());
    const size_t values = codec.block_values();
    if (grid->widths > 0) {
      std::vector<uint8_t> widths(values / grid->group, uint8_t(grid->widths * grid->group / values));
      ++widths[random() % 4], --widths[4 + random() % 4];
      grid->set_widths(widths, block);
    }
    for (size_t group = 0; !grid->sets.empty() && group < values / grid->group; ++group)
      grid->set_choice(group, random() % grid->choices(), block);
    codec::Line largest{grid->negative ? -0.7f : 0.7f, grid->mins ? 0.5f : 0};
    if (grid->multiples > 0) grid->begin(largest, block);
    std::vector<codec::Line> lines;
    for (size_t group = 0; group < values / grid->group; ++group) {
      codec::Line wanted{share(random), grid->mins ? share(random) : 0};
      if (!grid->negative) wanted = {std::abs(wanted.scale), std::abs(wanted.min)};
      wanted = {wanted.scale * 0.7f, wanted.min * 0.5f};
      if (grid->tied) wanted = {wanted.scale / 2, wanted.scale * 3};
      lines.push_back(grid->set_line(group, wanted, block));
      EXPECT_NEAR(lines.back().scale, wanted.scale, 0.7 / (grid->multiples > 0 ? 29 : 200));
      if (grid->tied) {
        const float times = lines.back().min * codec::inverse_of(lines.back().scale);
        EXPECT_NEAR(times, std::nearbyint(times), 1e-4);
        continue;
      }
      EXPECT_NEAR(lines.back().min, wanted.min, 0.5 / (grid->multiples > 0 ? 29 : 200));
    }
    std::vector<uint8_t> codes;
    for (size_t i = 0; i < values; ++i) {
      codes.push_back(uint8_t(random() % grid->of(i / grid->group, block).levels.size()));
      grid->set_code(i, codes[i], block);
    }
    std::vector<float> decoded(values);
    codec.decode({block, codec.block_bytes()}, decoded);
    for (size_t i = 0; i < values; ++i) {
      const codec::Line& line = lines[i / grid->group];
      EXPECT_NEAR(decoded[i], line.scale * grid->of(i / grid->group, block).levels[codes[i]] - line.min,
                  1e-6 + 1e-5 * std::abs(decoded[i]))
          << i;
    }
  }
}

TEST_P(EveryGrid, the_nearest_level_is_nearest) {
  const Grid* grid = grid_of(**codec_named(GetParam()));
  if (grid == nullptr) GTEST_SKIP() << "no grid";
  for (float value = grid->levels.front() - 3; value < grid->levels.back() + 3; value += 0.13f) {
    const float distance = std::abs(grid->levels[grid->nearest(value)] - value);
    for (float level : grid->levels) EXPECT_LE(distance, std::abs(level - value));
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryGrid, testing::ValuesIn(codecs().names()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace varve
