// Codebooks are no entries of the registry; what every codec owes, they owe too.
#include "math/codec/codebook.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "math/kernel/half.h"

namespace varve {
namespace {

std::vector<float> sets_of(size_t bits) {
  std::vector<float> sets;
  for (size_t set = 0; set < 4; ++set) {
    for (size_t i = 0; i < size_t(1) << bits; ++i) sets.push_back(float(i) - 2 + 0.3f * float(set));
  }
  return sets;
}

TEST(Codebook, any_bytes_are_scales_times_levels) {
  std::mt19937 random(3);
  for (size_t bits = 2; bits <= 4; ++bits) {
    const auto sets = sets_of(bits);
    const auto codec = Codebook::make(bits, sets).value();
    for (int round = 0; round < 50; ++round) {
      std::vector<std::byte> block(codec->block_bytes());
      for (std::byte& byte : block) byte = std::byte(random());
      std::vector<float> values(256);
      codec->decode(block, values);
      uint16_t d;
      std::memcpy(&d, block.data(), 2);
      for (size_t i = 0; i < 256; ++i) {
        const auto group = unsigned(block[2 + i / 32]);
        size_t code = 0;
        for (size_t bit = 0; bit < bits; ++bit) {
          const size_t at = i * bits + bit;
          code |= (size_t(block[10 + at / 8]) >> at % 8 & 1) << bit;
        }
        const float truth = f16_to_f32(d) * float(group & 63) * sets[((group >> 6) << bits) + code];
        EXPECT_TRUE(values[i] == truth || (std::isnan(values[i]) && std::isnan(truth))) << i;
      }
    }
  }
}

TEST(Codebook, what_is_no_four_sets_of_numbers_is_refused) {
  EXPECT_EQ(Codebook::make(1, std::vector<float>(8)).code(), Code::invalid);
  EXPECT_EQ(Codebook::make(5, std::vector<float>(128)).code(), Code::invalid);
  EXPECT_EQ(Codebook::make(3, std::vector<float>(31)).code(), Code::invalid);
  auto odd = sets_of(3);
  odd[4] = INFINITY;
  EXPECT_EQ(Codebook::make(3, odd).code(), Code::invalid);
}

TEST(Codebook, levels_that_fit_are_kept_exactly) {
  const auto codec = Codebook::make(3, sets_of(3)).value();
  std::vector<float> values(512), back(512);
  std::mt19937 random(5);
  const auto sets = sets_of(3);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 0.5f * sets[i / 32 % 4 * 8 + random() % 8];
  for (size_t i = 0; i < values.size(); i += 32) {  // both ends, so that the scale can be told
    values[i] = 0.5f * sets[i / 32 % 4 * 8], values[i + 1] = 0.5f * sets[i / 32 % 4 * 8 + 7];
  }
  std::vector<std::byte> bytes(size_t(codec->bytes_for(512)));
  codec->encode(values, bytes);
  codec->decode(bytes, back);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(back[i], values[i], 2e-3) << i;
}

}  // namespace
}  // namespace varve
