// What every optimizer owes: it asks for its state beforehand and stays inside it, goes downhill, repeats
// itself, and where it says so steps a parameter in pieces as it does whole.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "learn/optim/adam8.h"
#include "learn/optim/optimizer.h"

namespace varve {
namespace {

constexpr ParamShape kShape{24, 40};

struct Descent {
  std::vector<float> param;
  std::vector<std::byte> state;
};

// Minimises |param - target|^2 / 2 from zero.
Descent descend(const Optimizer& rule, ParamShape shape, int steps, float rate) {
  Descent run{std::vector<float>(size_t(shape.size())),
              std::vector<std::byte>(size_t(rule.state_bytes(shape)) + 64)};
  std::fill(run.state.end() - 64, run.state.end(), std::byte{0x5a});
  std::vector<float> gradient(run.param.size());
  for (int step = 1; step <= steps; ++step) {
    for (size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] = run.param[i] - float(random_normal({7, 0, Site::test}, i));
    }
    rule.step(shape, run.param, gradient, std::span(run.state).first(run.state.size() - 64),
              {.step = step, .rate = rate});
  }
  return run;
}

double distance(const std::vector<float>& param) {
  double sum = 0;
  for (size_t i = 0; i < param.size(); ++i) {
    sum += std::pow(double(param[i]) - random_normal({7, 0, Site::test}, i), 2);
  }
  return sum;
}

class EveryOptimizer : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Optimizer> rule(std::string options = {}) {
    return std::move(optimizers().make(GetParam() + options)).value();
  }
};

TEST_P(EveryOptimizer, GoesDownhillInsideItsState) {
  const auto one = rule();
  const Descent run = descend(*one, kShape, 60, 0.02f);
  EXPECT_LT(distance(run.param), 0.7 * distance(std::vector<float>(size_t(kShape.size()))));
  for (size_t i = 1; i <= 64; ++i) EXPECT_EQ(run.state[run.state.size() - i], std::byte{0x5a});
  const Descent again = descend(*one, kShape, 60, 0.02f);
  EXPECT_EQ(again.param, run.param);
  EXPECT_EQ(again.state, run.state);
}

TEST_P(EveryOptimizer, AStateGoesOnAfterItWasCopied) {
  const auto one = rule();
  std::vector<float> param(size_t(kShape.size()), 1), gradient(param.size(), 0.5f);
  std::vector<std::byte> state(size_t(one->state_bytes(kShape)));
  for (int step = 1; step <= 3; ++step)
    one->step(kShape, param, gradient, state, {.step = step, .rate = 0.1f});
  auto other_param = param;
  auto other_state = state;
  for (int step = 4; step <= 6; ++step)
    one->step(kShape, param, gradient, state, {.step = step, .rate = 0.1f});
  const auto fresh = rule();
  for (int step = 4; step <= 6; ++step) {
    fresh->step(kShape, other_param, gradient, other_state, {.step = step, .rate = 0.1f});
  }
  EXPECT_EQ(other_param, param);
}

TEST_P(EveryOptimizer, PiecesAreTheWhole) {
  const auto one = rule();
  if (!one->element_by_element()) GTEST_SKIP();
  const ParamShape shape{1, 1024}, half{1, 512};
  std::vector<float> whole(1024, 1), pieces(1024, 1), gradient(1024);
  std::vector<std::byte> state(size_t(one->state_bytes(shape))), parts(2 * size_t(one->state_bytes(half)));
  for (int step = 1; step <= 3; ++step) {
    for (size_t i = 0; i < 1024; ++i) gradient[i] = float(random_normal({9, uint64_t(step), Site::test}, i));
    const StepAt at{.step = step, .rate = 0.1f, .decay = 0.1f};
    one->step(shape, whole, gradient, state, at);
    for (size_t piece : {0, 1}) {
      one->step(half, std::span(pieces).subspan(512 * piece, 512),
                std::span(gradient).subspan(512 * piece, 512),
                std::span(parts).subspan(parts.size() / 2 * piece, parts.size() / 2), at);
    }
  }
  EXPECT_EQ(whole, pieces);
}

TEST_P(EveryOptimizer, RefusesOptionsThatItDoesNotKnow) {
  EXPECT_EQ(optimizers().make(GetParam() + ":speed=3").code(), Code::invalid);
}

std::vector<std::string> names() {
  return optimizers().names();
}
INSTANTIATE_TEST_SUITE_P(Optim, EveryOptimizer, testing::ValuesIn(names()),
                         [](const auto& one) { return one.param; });

TEST(AdamW, IsTheFormula) {
  const auto rule = std::move(optimizers().make("adamw:beta1=0.9,beta2=0.99")).value();
  std::vector<float> param = {1}, gradient = {0.5f};
  std::vector<std::byte> state(8);
  double w = 1, m = 0, v = 0;
  for (int t = 1; t <= 5; ++t) {
    rule->step({1, 1}, param, gradient, state, {.step = t, .rate = 0.1f, .decay = 0.01f});
    m = 0.9 * m + 0.1 * 0.5, v = 0.99 * v + 0.01 * 0.25;
    w -= 0.1 * (0.01 * w + m / (1 - std::pow(0.9, t)) / (std::sqrt(v / (1 - std::pow(0.99, t))) + 1e-8));
    EXPECT_NEAR(double(param[0]), w, 1e-5);
  }
}

// In one block some gradients are a million times smaller than others: a second moment that became zero would
// move its value by m / epsilon.
TEST(Adam8, SmallSecondMomentsNeverMakeALongStep) {
  const auto rule = std::move(optimizers().make("adam8")).value();
  std::vector<float> param(256), gradient(256);
  std::vector<std::byte> state(size_t(rule->state_bytes({1, 256})));
  EXPECT_EQ(state.size(), 520u);
  for (int step = 1; step <= 50; ++step) {
    for (size_t i = 0; i < 256; ++i) {
      gradient[i] = float(random_normal({5, uint64_t(step), Site::test}, i) * std::pow(10., -double(i % 7)));
    }
    rule->step({1, 256}, param, gradient, state, {.step = step, .rate = 0.01f});
  }
  for (float value : param) EXPECT_LT(std::abs(value), 0.6f);
}

TEST(Galore, HoldsAQuarterOfTheStateAndFollowsALowRankGradient) {
  const ParamShape shape{96, 256};
  const auto rule = std::move(optimizers().make("galore:rank=24,scale=1,gap=50")).value();
  const auto eight = std::move(optimizers().make("galore:rank=24,bits=8")).value();
  EXPECT_EQ(rule->state_bytes(shape), 4 * 24 * 96 + 8 * 24 * 256);
  EXPECT_EQ(eight->state_bytes(shape), 4 * 24 * 96 + 24 * 256 / 256 * 520);
  EXPECT_LT(double(rule->state_bytes(shape)), 0.35 * double(shape.size() * 8));
  // A target of rank 3 lies in the leading directions of its gradient, which are found.
  std::vector<float> target(size_t(shape.size())), param(target.size()), gradient(target.size());
  for (size_t i = 0; i < 96; ++i) {
    for (size_t j = 0; j < 256; ++j) {
      for (uint64_t k = 0; k < 3; ++k) {
        target[i * 256 + j] +=
            float(random_normal({1, k, Site::test}, i) * random_normal({2, k, Site::test}, j));
      }
    }
  }
  std::vector<std::byte> state(size_t(rule->state_bytes(shape)));
  double before = 0, after = 0;
  for (int step = 1; step <= 200; ++step) {
    for (size_t i = 0; i < gradient.size(); ++i) gradient[i] = param[i] - target[i];
    rule->step(shape, param, gradient, state, {.step = step, .rate = 0.2f});
  }
  for (size_t i = 0; i < target.size(); ++i) {
    before += double(target[i]) * double(target[i]);
    after += std::pow(double(param[i]) - double(target[i]), 2);
  }
  EXPECT_LT(after, 0.05 * before);
}

}  // namespace
}  // namespace varve
