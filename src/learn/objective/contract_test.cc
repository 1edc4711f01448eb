// What every objective owes: slopes that are those of its loss, and none of it without bounds.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "learn/objective/objective.h"

namespace varve {
namespace {

class EveryObjective : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Objective> made(std::string options = {}) {
    return std::move(objectives().make(GetParam() + options)).value();
  }
};

TEST_P(EveryObjective, ItsSlopesAreThoseOfItsLoss) {
  const auto one = made();
  const auto n = size_t(one->sequences());
  for (double apart : {-900., -3., 0., 2., 900.}) {
    std::array<Likelihood, 2> told = {Likelihood{12, 11, 7}, Likelihood{12.5 + apart, 12, 4}};
    std::array<double, 2> slopes{}, unused{};
    EXPECT_TRUE(std::isfinite(one->weigh(std::span(told).first(n), std::span(slopes).first(n))));
    for (size_t i = 0; i < n; ++i) {
      auto moved = [&](double by) {
        auto other = told;
        other[i].nll += by;
        return one->weigh(std::span(other).first(n), std::span(unused).first(n));
      };
      EXPECT_NEAR(slopes[i], (moved(1e-5) - moved(-1e-5)) / 2e-5, 1e-6) << i << " " << apart;
    }
    EXPECT_TRUE(one->looks_first() || slopes[0] == 1);
  }
}

TEST_P(EveryObjective, RefusesOptionsThatItDoesNotKnow) {
  EXPECT_EQ(objectives().make(GetParam() + ":speed=3").code(), Code::invalid);
}

INSTANTIATE_TEST_SUITE_P(Objectives, EveryObjective, testing::ValuesIn(objectives().names()),
                         [](const auto& one) { return one.param; });

TEST(Dpo, BeginsAtLogTwoAndPushesThePairApart) {
  const auto dpo = std::move(objectives().make("dpo:beta=0.5")).value();
  const std::array<Likelihood, 2> told = {Likelihood{9, 9, 3}, Likelihood{7, 7, 5}};
  std::array<double, 2> slopes{};
  EXPECT_DOUBLE_EQ(dpo->weigh(told, slopes), std::log(2));
  EXPECT_DOUBLE_EQ(slopes[0], 0.25);
  EXPECT_DOUBLE_EQ(slopes[1], -0.25);
}

TEST(Simpo, ComparesMeansSoThatLengthDoesNotWin) {
  const auto simpo = std::move(objectives().make("simpo:beta=2,margin=0")).value();
  const std::array<Likelihood, 2> told = {Likelihood{20, 0, 10}, Likelihood{10, 0, 5}};
  std::array<double, 2> slopes{};
  EXPECT_DOUBLE_EQ(simpo->weigh(told, slopes), std::log(2));
  EXPECT_DOUBLE_EQ(slopes[0] * 10, -slopes[1] * 5);
}

}  // namespace
}  // namespace varve
