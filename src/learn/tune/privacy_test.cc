// Private learning: the length of an example that nobody makes is that of its gradient; the clip and the
// noise are what they say; and the promise is the published one.
#include "learn/grad/privacy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "learn/tune/lesson.h"
#include "learn/tune/model_file.h"
#include "tests/support/memory_env.h"

namespace varve {
namespace {

constexpr FreshShape kShape{
    .layers = 2, .width = 32, .hidden = 64, .heads = 4, .kv_heads = 2, .vocabulary = 40, .context = 64};

std::vector<int32_t> verse() {  // documents of ten
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 2000; ++i) tokens.push_back(i % 10 == 9 ? 39 : (i % 37) * (i % 37) % 38);
  return tokens;
}

struct Class {
  explicit Class(const std::string& gradient, int threads = 1) : pool(threads) {
    FullSource source(true, parts);
    network = std::move(Network::make(*fresh_spec(kShape), source)).value();
    EXPECT_TRUE(parts.allocate(ledger).ok());
    draw_values(parts, kShape.layers, 1);
    LessonPlan plan{.rate = 0.01f, .clip = 0, .steps = 60, .warmup = 5, .gradient = gradient, .slots = "f32"};
    plan.precision = TrainOps::Precision::exact;
    bytes = Lesson::bytes(*network, parts, plan, batches.rows(), threads).value();
    lesson = std::move(Lesson::make(*network, parts, plan, batches.rows(), pool, ledger)).value();
  }
  Progress step() { return lesson->step(batches).value(); }
  std::vector<float> values() const { return {parts.all().begin(), parts.all().end()}; }

  std::vector<int32_t> tokens = verse();
  Ledger ledger{int64_t(64) << 20};
  ThreadPool pool;
  TokenWindows batches{tokens, {.length = 40, .sequences = 2, .separator = 39}};
  Parts parts;
  std::unique_ptr<Network> network;
  std::unique_ptr<Lesson> lesson;
  LessonBytes bytes;
};

TEST(GhostNorm, IsTheLengthOfTheGradientThatItDoesNotMake) {
  Class one("dp");
  const std::vector<int32_t> tokens = {3, 7, 3, 3, 20, 7, 11, 3}, targets = {7, 3, 3, 20, 7, 11, 3, -1};
  const std::vector<int32_t> starts = {0};
  const std::vector<float> weights = {0.2f, 0.1f, 0.2f, 0, 0.2f, 0.2f, 0.1f, 0};
  std::vector<float> nll(tokens.size());
  const Lines lines{tokens, targets, weights, starts};
  Accumulate sum = Accumulate::make(one.parts, one.ledger).value();
  ASSERT_TRUE(one.network->learn(lines, nll, sum).ok());
  double squares = 0;
  for (float value : sum.all()) squares += double(value) * double(value);
  GhostNorm ghost = GhostNorm::make(*one.network, one.parts, 8, one.ledger).value();
  for (int twice = 0; twice < 2; ++twice) {
    EXPECT_NEAR(ghost.measure(*one.network, lines, nll).value() / squares, 1, 1e-4);
  }
}

TEST(Private, WithoutClipAndNoiseItIsTheMeanOfTheExamples) {
  Class plain(""), open("dp:clip=1e9,noise=0");
  // All documents but those at a window's edge are of one length; the means differ by those alone.
  const Progress a = plain.step(), b = open.step();
  EXPECT_NEAR(a.loss, b.loss, 0.01 * a.loss);
  EXPECT_NEAR(a.norm, b.norm, 0.1 * a.norm);
}

TEST(Private, NoStepIsLongerThanTheClipAndTheNoiseIsWhatItSays) {
  Class clipped("dp:clip=0.001,noise=0"), noisy("dp:clip=0.001,noise=8");
  const Progress step = clipped.step();
  EXPECT_LE(step.norm, 0.001 * (1 + 1e-4));
  EXPECT_GT(step.norm, 0.0001) << "examples agree in much";
  // Two windows of four documents each: eight examples, or nine where one is cut.
  const double expected = 8 * 0.001 * std::sqrt(double(noisy.parts.values()));
  const double norm = noisy.step().norm;
  EXPECT_GT(norm, expected / 10.5);
  EXPECT_LT(norm, expected / 7.5);
}

TEST(Private, LearnsBooksWhatItSaidAndGoesOnToTheBit) {
  const char* const spec = "dp:clip=1,noise=0.1";
  Class whole(spec, 2), first(spec), second(spec, 2);
  EXPECT_EQ(whole.bytes.total(), whole.ledger.used());
  const double begin = whole.step().loss;
  for (int i = 1; i < 40; ++i) whole.step();
  EXPECT_LT(whole.lesson->evaluate(whole.batches, 4).value(), 0.9 * begin);
  MemoryEnv env;
  for (int i = 0; i < 9; ++i) first.step();
  ASSERT_TRUE(first.lesson->save(env, "checkpoint", {}).ok());
  ASSERT_TRUE(second.lesson->load(env, "checkpoint").ok());
  while (second.lesson->done() < 40) second.step();
  EXPECT_EQ(second.values(), whole.values());
}

TEST(Private, RefusesWhatLooksAtExamplesTogether) {
  Class one("dp");
  for (auto change : {+[](LessonPlan& plan) { plan.selector = "lisa"; },
                      +[](LessonPlan& plan) { plan.objective = "simpo"; }}) {
    LessonPlan plan = one.lesson->plan();
    change(plan);
    EXPECT_EQ(Lesson::bytes(*one.network, one.parts, plan, 80).code(), Code::invalid);
  }
  EXPECT_EQ(one.lesson->gradients(one.batches, [](const Part&, std::span<const float>) {}).code(),
            Code::invalid);
}

// MNIST as others published it, 60,000 pictures at 1e-5 (1.19, 3.01, 7.10), and Abadi et al. 2016: 1.26.
TEST(Privacy, TheEpsilonsAreThePublishedOnes) {
  EXPECT_NEAR(privacy_epsilon(1.3, 256.0 / 60000, 15 * 60000 / 256, 1e-5), 1.19, 0.01);
  EXPECT_NEAR(privacy_epsilon(1.1, 256.0 / 60000, 60 * 60000 / 256, 1e-5), 3.01, 0.01);
  EXPECT_NEAR(privacy_epsilon(0.7, 256.0 / 60000, 45 * 60000 / 256, 1e-5), 7.10, 0.03);
  EXPECT_NEAR(privacy_epsilon(4, 0.01, 10000, 1e-5), 1.26, 0.01);
  EXPECT_NEAR(privacy_epsilon(2, 1, 1, 1e-5), 1 / 8.0 + std::sqrt(2 * std::log(1e5)) / 2, 0.02) << "whole";
}

}  // namespace
}  // namespace varve
