// A gate over KV in a lesson: its gradients through a whole network, the share that it comes to, and that the
// model beneath stays as it was.
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/rng.h"
#include "learn/grad/kv_gate.h"
#include "learn/tune/lesson.h"
#include "learn/tune/model_file.h"
#include "tests/support/memory_env.h"

namespace varve {
namespace {

constexpr FreshShape kShape{
    .layers = 2, .width = 32, .hidden = 64, .heads = 4, .kv_heads = 2, .vocabulary = 40, .context = 64};

std::vector<int32_t> verse() {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 2000; ++i) tokens.push_back(i % 37 == 36 ? 39 : (i % 37) * (i % 37) % 38);
  return tokens;
}

struct Class {
  explicit Class(KvGateSpec spec, KeepMode keep = KeepMode::hold) {
    Parts of_base;
    FullSource full(true, of_base);
    EXPECT_TRUE(Network::make(*fresh_spec(kShape), full).ok() && of_base.allocate(ledger).ok());
    draw_values(of_base, kShape.layers, 1);
    for (size_t i = 0; i < of_base.size(); ++i) {  // heads that look somewhere
      if (of_base[i].role.find("attn_") == std::string::npos || of_base[i].role.ends_with("norm")) continue;
      for (float& value : of_base[i].value) value *= 12;
    }
    GgufWriter writer;
    EXPECT_TRUE(write_model(kShape, of_base, **codec_named("f32"), writer, env, "base", ledger).ok());
    const auto mapping = std::move(env.map("base")).value();
    store = std::move(open_resident_weights(env, "base", *Gguf::parse(mapping->bytes()), ledger)).value();
    source = std::make_unique<GateSource>(*store, spec, parts);
    network = std::move(Network::make(*fresh_spec(kShape), *source)).value();
    EXPECT_TRUE(parts.allocate(ledger).ok());
    source->begin();
    LessonPlan plan;
    plan.precision = TrainOps::Precision::exact, plan.slots = "f32", plan.keep = keep;
    plan.rate = 0.02f, plan.steps = 60, plan.warmup = 0, plan.decay = 0;
    lesson = std::move(Lesson::make(*network, parts, plan, batches.rows(), pool, ledger)).value();
  }
  double loss(bool base = false) {
    TextBatch batch;
    EXPECT_TRUE(batches.fill(0, 0, batch).ok());
    std::vector<float> nll(batch.tokens.size());
    EXPECT_TRUE(
        network->evaluate({batch.tokens, batch.targets, batch.weights, batch.starts}, nll, base).ok());
    double sum = 0, count = 0;
    for (size_t i = 0; i < nll.size(); ++i)
      sum += double(nll[i]) * double(batch.weights[i]), count += double(batch.weights[i]);
    return sum / count;
  }
  void shake() {
    for (size_t i = 0; i < parts.size(); ++i) {
      for (size_t j = 0; j < parts[i].value.size(); ++j)
        parts[i].value[j] += float(0.5 * random_normal({9, i, Site::test}, j));
    }
  }

  MemoryEnv env;
  Ledger ledger{int64_t(64) << 20};
  ThreadPool pool{1};
  std::unique_ptr<WeightStore> store;
  Parts parts;
  std::unique_ptr<GateSource> source;
  std::unique_ptr<Network> network;
  std::vector<int32_t> tokens = verse();
  TokenWindows batches{tokens, {.length = 60, .sequences = 2, .separator = 39}};
  std::unique_ptr<Lesson> lesson;
};

constexpr KvGateSpec kPlain{.pressure = 0, .near = 3, .sinks = 1};

TEST(GateLesson, GradientsAreDifferencesOfTheLoss) {
  for (KeepMode keep : {KeepMode::hold, KeepMode::recompute}) {
    Class one(kPlain, keep);
    one.shake();
    ASSERT_EQ(one.parts.size(), size_t(2 * kShape.layers));
    std::vector<std::vector<float>> gradients;
    ASSERT_TRUE(one.lesson
                    ->gradients(one.batches,
                                [&](const Part&, std::span<const float> all) {
                                  gradients.emplace_back(all.begin(), all.end());
                                })
                    .ok());
    for (size_t i = 0; i < one.parts.size(); ++i) {
      Part& part = one.parts[i];
      double size = 0;
      for (float value : gradients[i]) size = std::max(size, std::abs(double(value)));
      EXPECT_GT(size, 1e-4) << part.role;
      for (size_t at : {size_t(0), part.value.size() / 2, part.value.size() - 1}) {
        const float value = part.value[at];
        part.value[at] = value + 0.01f;
        const double above = one.loss(), high = double(part.value[at]);
        part.value[at] = value - 0.01f;
        const double slope = (above - one.loss()) / (high - double(part.value[at]));
        part.value[at] = value;
        EXPECT_NEAR(double(gradients[i][at]), slope, 0.02 * size + 2e-5) << part.role << " " << at;
      }
    }
  }
}

TEST(GateLesson, TheBaseIsReadAsIfThereWereNoGate) {
  Class one(kPlain);
  const double base = one.loss(true), gated = one.loss();
  one.shake();
  EXPECT_EQ(one.loss(true), base);
  EXPECT_GT(std::abs(gated - base), 1e-3) << "a quarter of the tokens stays";
}

TEST(GateLesson, ComesToTheShareThatIsAskedFor) {
  Class one({.keep = 0.3f, .near = 3, .sinks = 1});
  for (size_t i = 0; i < one.parts.size(); ++i) {
    if (!one.parts[i].role.ends_with(".b")) continue;
    for (float& bias : one.parts[i].value) bias = 1;  // three quarters
  }
  while (one.lesson->done() < 60) ASSERT_TRUE(one.lesson->step(one.batches).ok());
  EXPECT_NEAR(one.source->share(), 0.3, 0.05);
}

}  // namespace
}  // namespace varve
