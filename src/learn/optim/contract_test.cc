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

// What lies there before must not matter.
std::vector<float> room(const Optimizer& rule, ParamShape shape) {
  return std::vector<float>(size_t(rule.work_bytes(shape)) / 4, NAN);
}

// Minimises |param - target|^2 / 2 from zero.
Descent descend(const Optimizer& rule, ParamShape shape, int steps, float rate) {
  Descent run{std::vector<float>(size_t(shape.size())),
              std::vector<std::byte>(size_t(rule.state_bytes(shape)) + 64)};
  std::fill(run.state.end() - 64, run.state.end(), std::byte{0x5a});
  std::vector<float> gradient(run.param.size()), work = room(rule, shape);
  for (int step = 1; step <= steps; ++step) {
    for (size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] = run.param[i] - float(random_normal({7, 0, Site::test}, i));
    }
    rule.step(shape, run.param, gradient, std::span(run.state).first(run.state.size() - 64),
              {.step = step, .rate = rate, .work = work});
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
  std::vector<float> work = room(*one, kShape);
  for (int step = 1; step <= 3; ++step)
    one->step(kShape, param, gradient, state, {.step = step, .rate = 0.1f, .work = work});
  auto other_param = param;
  auto other_state = state;
  for (int step = 4; step <= 6; ++step)
    one->step(kShape, param, gradient, state, {.step = step, .rate = 0.1f, .work = work});
  const auto fresh = rule();
  for (int step = 4; step <= 6; ++step) {
    fresh->step(kShape, other_param, gradient, other_state, {.step = step, .rate = 0.1f, .work = work});
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

// Rules that see a few directions, on a matrix either way round whose target has rank 3.
struct LowRankTarget {
  ParamShape shape;
  std::vector<float> target, param;
  explicit LowRankTarget(ParamShape of) : shape(of), target(size_t(of.size())), param(target.size()) {
    for (size_t i = 0; i < size_t(of.rows); ++i) {
      for (size_t j = 0; j < size_t(of.cols); ++j) {
        for (uint64_t k = 0; k < 3; ++k) {
          target[i * size_t(of.cols) + j] +=
              float(random_normal({1, k, Site::test}, i) * random_normal({2, k, Site::test}, j));
        }
      }
    }
  }
  double distance() const {
    double sum = 0;
    for (size_t i = 0; i < target.size(); ++i) sum += std::pow(double(param[i]) - double(target[i]), 2);
    return sum;
  }
  // What is left of the distance.
  double descend(const std::string& spec, int steps, float rate, std::vector<std::byte>* kept = nullptr) {
    const auto rule = std::move(optimizers().make(spec)).value();
    std::vector<std::byte> state(size_t(rule->state_bytes(shape)));
    std::vector<float> work = room(*rule, shape), gradient(param.size());
    const double before = distance();
    for (int step = 1; step <= steps; ++step) {
      for (size_t i = 0; i < gradient.size(); ++i) gradient[i] = param[i] - target[i];
      rule->step(shape, param, gradient, state, {.step = step, .rate = rate, .work = work});
    }
    if (kept != nullptr) *kept = state;
    return distance() / before;
  }
};
constexpr ParamShape kWide{96, 256}, kTall{256, 96};

int64_t state_of(const std::string& spec, ParamShape shape) {
  return std::move(optimizers().make(spec)).value()->state_bytes(shape);
}

TEST(Galore, HoldsAQuarterOfTheStateAndFollowsALowRankGradient) {
  const int64_t full = kWide.size() * 8;
  EXPECT_EQ(state_of("galore:rank=24", kWide), 4 * 24 * 96 + 8 * 24 * 256);
  EXPECT_EQ(state_of("galore:rank=24,bits=8", kWide), 4 * 24 * 96 + 24 * 256 / 256 * 520);
  EXPECT_LT(double(state_of("galore:rank=24", kWide)), 0.35 * double(full));
  for (ParamShape shape : {kWide, kTall}) {
    EXPECT_LT(LowRankTarget(shape).descend("galore:rank=24,scale=1,gap=50", 200, 0.2f), 0.05);
  }
}

TEST(QGalore, HoldsDirectionsInFourBitsAndLooksForThemEverMoreRarely) {
  EXPECT_EQ(state_of("qgalore:rank=24", kWide), 16 + 24 * 96 / 256 * 132 + 4 + 24 * 520);
  EXPECT_LT(double(state_of("qgalore:rank=24", kWide)), 0.08 * double(kWide.size() * 8));
  LowRankTarget one(kWide);
  std::vector<std::byte> state;
  EXPECT_LT(one.descend("qgalore:rank=3,scale=1,gap=4,patience=2,alike=0.4", 200, 0.2f, &state), 0.05);
  int32_t gap = 0;
  std::memcpy(&gap, state.data() + 8, 4);
  EXPECT_GE(gap, 16) << "its directions stood still";
  LowRankTarget other(kWide);
  other.descend("qgalore:rank=3,scale=1,gap=4,patience=2,alike=1", 50, 0.2f, &state);
  std::memcpy(&gap, state.data() + 8, 4);
  EXPECT_EQ(gap, 4) << "none are as alike as this";
}

TEST(NaturalGalore, ShortensWhatCameBeforeAndNothingElse) {
  EXPECT_EQ(state_of("natural_galore:rank=24,history=3", kWide), 64 + 4 * 24 * 96 + (8 + 12) * 24 * 256);
  EXPECT_LT(double(state_of("natural_galore:rank=24,history=3", kWide)), 0.7 * double(kWide.size() * 8));
  for (ParamShape shape : {kWide, kTall}) {
    EXPECT_LT(LowRankTarget(shape).descend("natural_galore:rank=24,scale=1,gap=50", 200, 0.2f), 0.05);
  }
  // Gradients so small against epsilon = 1 that Adam divides by nothing. (g g^T + .5 |g|^2)^-1 g is g times
  // .5 / 1.5 but for the factor that all have; what is at right angles to the history is left alone.
  const auto rule =
      std::move(optimizers().make("natural_galore:rank=2,scale=1,beta1=0,beta2=0,epsilon=1,damping=0.5"))
          .value();
  const ParamShape shape{3, 4};
  std::vector<std::byte> state(size_t(rule->state_bytes(shape)));
  std::vector<float> work = room(*rule, shape), param(12);
  const float u[3] = {1, -2, 2}, again[4] = {1, 1, 0, 2}, fresh[4] = {-1, 1, 3, 0};
  int step = 0;
  for (auto [v, factor] : {std::pair(again, 1.f), {again, 1 / 3.f}, {again, 1 / 3.f}, {fresh, 1.f}}) {
    std::vector<float> gradient(12);
    for (size_t i = 0; i < 12; ++i) gradient[i] = 1e-4f * u[i / 4] * v[i % 4];
    const std::vector<float> before = param;
    rule->step(shape, param, gradient, state, {.step = ++step, .rate = 1, .work = work});
    for (size_t i = 0; i < 12; ++i) EXPECT_NEAR(before[i] - param[i], factor * gradient[i], 2e-6) << step;
  }
}

TEST(Dct, KeepsNumbersOfCosinesAndFindsTheOneThatItIsGiven) {
  EXPECT_EQ(state_of("dct:rank=24", kWide), 128 + 8 * 24 * 256);
  // A gradient along cosines 5 and 17 of the columns' side: those are chosen, and two are enough.
  LowRankTarget one(kTall);
  for (size_t i = 0; i < 256; ++i) {
    for (size_t j = 0; j < 96; ++j) {
      const double x = std::acos(-1.0) * (2 * double(j) + 1) / (2 * 96);
      one.target[i * 96 + j] =
          float(random_normal({1, 0, Site::test}, i) * std::cos(5 * x) + std::cos(17 * x));
    }
  }
  std::vector<std::byte> state;
  EXPECT_LT(one.descend("dct:rank=2,gap=5", 200, 0.1f, &state), 0.01);
  int32_t chosen[2];
  std::memcpy(chosen, state.data(), sizeof chosen);
  EXPECT_EQ(chosen[0], 5);
  EXPECT_EQ(chosen[1], 17);
}

TEST(Frugal, StepsSomeColumnsByMomentsAndAllOthersByTheSign) {
  EXPECT_EQ(state_of("frugal:density=0.25", kWide), kWide.size() * 2);
  const auto rule = std::move(optimizers().make("frugal:density=0.25,gap=10")).value();
  std::vector<float> param(96), gradient(96, 1e-3f), work = room(*rule, {2, 48});
  std::vector<std::byte> state(size_t(rule->state_bytes({2, 48})));
  std::vector<float> before = param;
  int others = 0;
  for (int step = 1; step <= 20; ++step) {
    for (float& one : gradient) one *= -1;  // which moments smooth away and the sign does not
    before = param;
    rule->step({2, 48}, param, gradient, state, {.step = step, .rate = 0.1f, .work = work});
    if (step % 10 != 0) continue;
    int signs = 0;
    for (size_t i = 0; i < 96; ++i) signs += std::abs(std::abs(param[i] - before[i]) - 0.1f) < 1e-4f;
    EXPECT_EQ(signs, 72);
    for (size_t i = 0; i < 48; ++i) EXPECT_EQ(param[i], param[48 + i]) << "whole columns";
    others += signs;
  }
  EXPECT_LT(LowRankTarget(kWide).descend("frugal:leading=1,rank=24,gap=50", 200, 0.1f), 0.05);
}

TEST(Cosmos, HoldsLessThanAdamAndMovesByOrthogonalStepsOutsideItsDirections) {
  EXPECT_EQ(state_of("cosmos:rank=8", kWide), 4 * (96 * 256 + 8 * (96 + 8) + 8 * 256));
  EXPECT_LT(double(state_of("cosmos:rank=8", kWide)), 0.6 * double(kWide.size() * 8));
  for (ParamShape shape : {kWide, kTall}) {
    LowRankTarget one(shape);
    EXPECT_LT(one.descend("cosmos:rank=8", 200, 0.1f), 0.05);
  }
  // Without its leading part, the first step has singular values of about the same size: X X^T is near I.
  LowRankTarget one(ParamShape{16, 64});
  for (size_t i = 0; i < one.target.size(); ++i) one.target[i] = float(random_normal({3, 0, Site::test}, i));
  one.descend("cosmos:rank=1,gamma=1", 1, 1);
  for (size_t i = 0; i < 16; ++i) {
    double own = 0;
    for (size_t j = 0; j < 64; ++j) own += std::pow(double(one.param[i * 64 + j]), 2);
    EXPECT_NEAR(std::sqrt(own / 64), 1, 0.5);
  }
}

}  // namespace
}  // namespace varve
