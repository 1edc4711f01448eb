#include "memory/reflect/shared/mixture.h"

#include <gtest/gtest.h>

#include "core/base/rng.h"

namespace varve {
namespace {

TEST(Mixture, TwoGroupsAreToldApart) {
  std::vector<double> values;
  for (uint64_t i = 0; i < 300; ++i)
    values.push_back((i % 3 == 0 ? 0.7 : 0.1) + 0.05 * random_normal({.seed = 1}, i));
  const Mixture m = fit_mixture(values);
  EXPECT_NEAR(m.low_mean, 0.1, 0.02);
  EXPECT_NEAR(m.high_mean, 0.7, 0.02);
  EXPECT_NEAR(m.high_share, 1 / 3.0, 0.03);
  EXPECT_NEAR(m.high_variance, 0.0025, 0.001);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(m.high(values[i]) > 0.5, i % 3 == 0) << values[i];
}

TEST(Mixture, WhereNothingTellsNobodyIsHigh) {
  EXPECT_EQ(fit_mixture({}).high(1), 0);
  EXPECT_EQ(fit_mixture({0.1, 0.9, 0.5}).high(1), 0);
  EXPECT_EQ(fit_mixture({0.4, 0.4, 0.4, 0.4, 0.4}).high(0.4), 0);
}

TEST(Mixture, TheHigherTheLikelier) {
  const Mixture m = fit_mixture({0.05, 0.1, 0.12, 0.15, 0.2, 0.8});
  double last = 0;
  for (double x = -1; x <= 1; x += 0.01) {
    EXPECT_GE(m.high(x) + 1e-9, last) << x;
    last = m.high(x);
  }
  EXPECT_EQ(m.high(0.8), 1);
}

}  // namespace
}  // namespace varve
