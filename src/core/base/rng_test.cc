#include "core/base/rng.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

// The known-answer vectors that the authors of Philox publish with their code (kat_vectors).
TEST(Rng, GivesThePublishedPhiloxBits) {
  const auto zero = random_block({.seed = 0, .step = 0, .site = Site{0}}, 0);
  EXPECT_EQ(zero, (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const auto ones = random_block({.seed = ~0ull, .step = ~0ull, .site = Site{0xffffffff}}, 0xffffffff);
  EXPECT_EQ(ones, (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Rng, UnitIsUniformAndNormalIsNormal) {
  double mean = 0, normal_mean = 0, normal_square = 0;
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    const double u = random_unit({.seed = 7}, i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    mean += u / n;
    const double z = random_normal({.seed = 7}, i);
    normal_mean += z / n, normal_square += z * z / n;
  }
  EXPECT_NEAR(mean, 0.5, 0.01);
  EXPECT_NEAR(normal_mean, 0, 0.03);
  EXPECT_NEAR(normal_square, 1, 0.05);
}

TEST(Rng, SitesAndStepsDoNotShareBits) {
  EXPECT_NE(random_bits({.seed = 1, .step = 1, .site = Site::sampling}, 0),
            random_bits({.seed = 1, .step = 1, .site = Site::init}, 0));
  EXPECT_NE(random_bits({.seed = 1, .step = 1}, 0), random_bits({.seed = 1, .step = 2}, 0));
}

}  // namespace
}  // namespace varve
