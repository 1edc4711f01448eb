// A mixture of experts that learns: its losses against the model that runs from its file, its gradients
// against differences of losses, and whether every expert is of use.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/base/rng.h"
#include "learn/tune/lesson.h"
#include "learn/tune/model_file.h"
#include "tests/support/memory_env.h"
#include "tests/support/run_model.h"

namespace varve {
namespace {

constexpr FreshShape kShape{.layers = 2,
                            .width = 32,
                            .hidden = 48,
                            .heads = 4,
                            .kv_heads = 2,
                            .vocabulary = 40,
                            .context = 64,
                            .experts = 5,
                            .used = 2};

struct Mixture {
  explicit Mixture(KeepMode keep = KeepMode::hold, const char* codec = "f32", int threads = 1)
      : pool(threads), train(std::move(TrainOps::make(pool, ledger, TrainOps::Precision::exact)).value()) {
    FullSource source(true, parts);
    network = std::move(Network::make(fresh_spec(kShape).value(), source)).value();
    EXPECT_TRUE(parts.allocate(ledger).ok());
    for (size_t i = 0; i < parts.size(); ++i) {
      const bool norm = parts[i].role.ends_with("norm"), bias = parts[i].rows == 1 && !norm;
      for (size_t j = 0; j < parts[i].value.size(); ++j)
        parts[i].value[j] =
            float(norm) + (bias ? 0.05f : 0.25f) * float(random_normal({1, i, Site::test}, j));
    }
    const auto plan = plan_layers(network->score(), kShape.layers, 24, keep, **codec_named(codec));
    EXPECT_TRUE(network->prepare(plan, train, ledger).ok());
    tokens = golden_tokens(25, kShape.vocabulary);
    targets.assign(tokens.begin() + 1, tokens.end()), tokens.resize(24);
    targets[13] = -1, weights[13] = 0;
  }
  Lines lines() const { return {tokens, targets, weights, starts}; }
  double loss() {
    std::vector<float> nll(24);
    EXPECT_TRUE(network->evaluate(lines(), nll).ok());
    return std::inner_product(nll.begin(), nll.end(), weights.begin(), 0.0, std::plus<>(),
                              [](float a, float b) { return double(a) * double(b); });
  }
  std::vector<float> gradient() {
    Accumulate sink = std::move(Accumulate::make(parts, ledger)).value();
    std::vector<float> nll(24);
    const Status status = network->learn(lines(), nll, sink);
    EXPECT_TRUE(status.ok()) << status.text();
    return {sink.all().begin(), sink.all().end()};
  }
  Ledger ledger{int64_t(64) << 20};
  ThreadPool pool;
  TrainOps train;
  Parts parts;
  std::unique_ptr<Network> network;
  std::vector<int32_t> tokens, targets, starts = {0, 14};
  std::vector<float> weights = std::vector<float>(24, 0.25f);
};

TEST(LearningExperts, ItsGradientsAreDifferencesOfLosses) {
  Mixture one;
  const auto gradient = one.gradient();
  int tried = 0;
  for (size_t i = 0; i < one.parts.size(); ++i) {
    Part& part = one.parts[i];
    if (part.role.ends_with("exp_probs_b.bias")) continue;  // what it is told is no slope of the loss
    const auto own = std::span(gradient).subspan(size_t(one.parts.offset(part)), size_t(part.size()));
    double size = 0;
    for (const float value : own) size = std::max(size, std::abs(double(value)));
    for (const int64_t at : {part.size() / 7, part.size() / 2, part.size() - 1}) {
      float& value = part.value[size_t(at)];
      const float keep = value;
      value = keep + 2e-3f;
      const double above = one.loss(), high = double(value);
      value = keep - 2e-3f;
      const double slope = (above - one.loss()) / (high - double(value));
      value = keep;
      EXPECT_NEAR(double(own[size_t(at)]), slope, 0.01 * size + 2e-3) << part.role << " " << at;
      ++tried;
    }
  }
  EXPECT_GT(tried, 100);
}

TEST(LearningExperts, TheModelThatRunsFromItsFileHasTheSameLosses) {
  Mixture one;
  MemoryEnv env;
  GgufWriter writer;
  ASSERT_TRUE(write_model(kShape, one.parts, **codec_named("f32"), writer, env, "m.gguf", one.ledger).ok());
  ModelRun run("m.gguf", 1, env);
  std::vector<float> nll(24);
  ASSERT_TRUE(one.network->evaluate(one.lines(), nll).ok());
  for (size_t document = 0; document < 2; ++document) {
    const size_t begin = document == 0 ? 0 : 14, end = document == 0 ? 14 : 24;
    const Logits logits =
        run.logits({one.tokens.begin() + int64_t(begin), one.tokens.begin() + int64_t(end)});
    for (size_t i = begin; i < end; ++i) {
      if (one.targets[i] < 0) continue;
      const auto row =
          std::span(logits).subspan((i - begin) * size_t(kShape.vocabulary), size_t(kShape.vocabulary));
      double sum = 0;
      for (const float logit : row) sum += std::exp(double(logit));
      EXPECT_NEAR(double(nll[i]), std::log(sum) - double(row[size_t(one.targets[i])]), 1e-4) << i;
    }
  }
}

TEST(LearningExperts, HowSlotsAreKeptAndHowManyThreadsDoesNotChangeABit) {
  const auto held = Mixture().gradient();
  EXPECT_EQ(Mixture(KeepMode::recompute).gradient(), held);
  EXPECT_EQ(Mixture(KeepMode::hold, "f32", 3).gradient(), held);
}

TEST(LearningExperts, TheBiasOfTheChoiceFallsForWhoGetsMoreThanHisShare) {
  Mixture one;
  Part& bias = *one.parts.find("blk.0.exp_probs_b.bias");
  std::fill(bias.value.begin(), bias.value.end(), 0.f);
  bias.value[3] = 10;  // everybody's choice
  const auto gradient = one.gradient();
  const auto own = std::span(gradient).subspan(size_t(one.parts.offset(bias)), 5);
  EXPECT_FLOAT_EQ(own[3], 1e-3f * (0.5f - 0.2f));
  EXPECT_NEAR(std::accumulate(own.begin(), own.end(), 0.f), 0, 1e-9);
}

TEST(LearningExperts, RefusesWhatItCannotChoose) {
  FreshShape wrong = kShape;
  wrong.used = 6;
  EXPECT_EQ(fresh_spec(wrong).code(), Code::invalid);
  DecoderSpec spec = fresh_spec(kShape).value();
  spec.experts.shared_hidden = 8;
  Parts parts;
  FullSource source(true, parts);
  EXPECT_EQ(Network::make(spec, source).code(), Code::unsupported);
}

}  // namespace
}  // namespace varve
