// Lessons on a text that repeats itself: they learn it, stop, go on and fail as they promise.
#include "learn/tune/recipe.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/io/fault_env.h"
#include "tests/support/memory_env.h"

namespace varve {
namespace {

DecoderSpec tiny_spec() {
  DecoderSpec spec{.family = "llama",
                   .width = 32,
                   .hidden = 64,
                   .heads = 4,
                   .kv_heads = 2,
                   .key_dim = 8,
                   .value_dim = 8,
                   .vocabulary = 40,
                   .context = 64,
                   .layers = std::vector<LayerSpec>(2)};
  spec.attention_scale = 1 / std::sqrt(8.f);
  spec.rope = {.kind = RopeKind::adjacent, .dim = 8};
  return spec;
}

std::vector<int32_t> verse() {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 2000; ++i) tokens.push_back(i % 37 == 36 ? 39 : (i % 37) * (i % 37) % 38);
  return tokens;
}

struct Class {  // a network and its lesson, of which nothing outside depends on another
  explicit Class(LessonPlan plan = {}, int threads = 1, const char* optimizer = nullptr, int layers = 2)
      : pool(threads) {
    if (plan.gradient.empty() || plan.gradient == "fused")
      plan.rate = 0.01f, plan.steps = 60, plan.warmup = 5;
    if (optimizer != nullptr) plan.optimizer = optimizer;
    DecoderSpec spec = tiny_spec();
    spec.layers.resize(size_t(layers));
    FullSource source(true, parts);
    network = std::move(Network::make(spec, source)).value();
    fill(plan.gradient == "zo2", layers);
    bytes = Lesson::bytes(*network, parts, plan, batches.rows(), threads).value();
    lesson = std::move(Lesson::make(*network, parts, plan, batches.rows(), pool, ledger)).value();
  }
  std::vector<double> run(int64_t until) {
    std::vector<double> losses;
    while (lesson->done() < until) {
      const auto progress = lesson->step(batches);
      EXPECT_TRUE(progress.ok());
      if (!progress.ok()) break;
      losses.push_back(progress->loss);
    }
    return losses;
  }
  void fill(bool streamed, int layers) {
    if (!streamed) {
      EXPECT_TRUE(parts.allocate(ledger).ok());
      return draw_values(parts, layers, 1);
    }
    Class drawn({}, 1, nullptr, layers);
    EXPECT_TRUE(parts.stream(std::move(env.open("values", Open::create)).value()).ok());
    for (size_t i = 0; i < parts.size(); ++i) EXPECT_TRUE(parts.write(parts[i], drawn.parts[i].value).ok());
  }
  std::vector<float> values() const {
    std::vector<float> all(size_t(parts.values()));
    EXPECT_TRUE(parts.read(0, std::as_writable_bytes(std::span(all))).ok());
    return all;
  }

  MemoryEnv env;
  Ledger ledger{int64_t(64) << 20};
  ThreadPool pool;
  std::vector<int32_t> tokens = verse();
  TokenWindows batches{tokens, {.length = 30, .sequences = 4, .parts = 2, .separator = 39}};
  Parts parts;
  std::unique_ptr<Network> network;
  std::unique_ptr<Lesson> lesson;
  LessonBytes bytes;
};

TEST(Lesson, LearnsATextByEveryOptimizer) {
  for (const std::string& name : optimizers().names()) {
    const bool low = name == "galore" || name == "qgalore" || name == "natural_galore";
    Class one({}, 1,
              (name + (low                                 ? ":rank=8,scale=1"
                       : name == "dct" || name == "cosmos" ? ":rank=8"
                                                           : ""))
                  .c_str());
    EXPECT_EQ(one.bytes.optimizer, one.ledger.used(Tag::optimizer)) << name;
    EXPECT_EQ(one.bytes.total(), one.ledger.used()) << name;
    const auto losses = one.run(60);
    const bool plain = name == "sgd";  // a hundred times too slow at this rate
    EXPECT_LT(losses.back(), plain ? losses.front() : 0.5 * losses.front()) << name;
    EXPECT_NEAR(losses.front(), std::log(40), 0.2);
  }
}

TEST(Lesson, StoppedAndResumedItIsTheSameToTheBit) {
  for (const char* optimizer :
       {"adamw", "adam8", "galore:rank=8,gap=7", "qgalore:rank=8,gap=3", "natural_galore:rank=8,gap=7",
        "dct:rank=8,gap=4", "muon", "frugal:gap=6", "frugal:gap=6,leading=1,rank=8", "cosmos:rank=8"}) {
    Class whole({}, 2, optimizer);
    whole.run(20);
    MemoryEnv env;
    {
      Class first({}, 1, optimizer);
      first.run(9);
      ASSERT_TRUE(first.lesson->save(env, "checkpoint", Json("beside")).ok());
    }
    Class second({}, 2, optimizer);
    const auto beside = second.lesson->load(env, "checkpoint");
    ASSERT_TRUE(beside.ok());
    EXPECT_EQ(*beside, Json("beside"));
    EXPECT_EQ(second.lesson->done(), 9);
    second.run(20);
    EXPECT_EQ(second.values(), whole.values()) << optimizer;
  }
}

LessonPlan planned(const std::string& recipe) {
  LessonPlan plan;
  EXPECT_TRUE(set_plan(*read_recipe(recipe), plan).ok());
  plan.slots = "bf16";  // the tiny model's heads are no whole blocks of q8_0
  return plan;
}

// Recipes of all weights: their bytes are what was planned, the loss falls, and stopping changes nothing.
class EveryRecipe : public testing::TestWithParam<std::string> {};

TEST_P(EveryRecipe, BooksWhatItSaidAndLearns) {
  Class one(planned(GetParam()));
  EXPECT_EQ(one.bytes.total(), one.ledger.used());
  EXPECT_EQ(one.bytes.gradients, one.ledger.used(Tag::gradients));
  EXPECT_EQ(one.bytes.optimizer, one.ledger.used(Tag::optimizer));
  const auto losses = one.run(60);
  EXPECT_LT(losses.back(), 0.75 * losses.front());
  EXPECT_EQ(one.bytes.total(), one.ledger.used()) << "nothing is booked while it runs";
}

TEST_P(EveryRecipe, StoppedAndResumedItIsTheSameToTheBit) {
  Class whole(planned(GetParam()), 2);
  whole.run(20);
  MemoryEnv env;
  Class first(planned(GetParam()));
  first.run(9);
  ASSERT_TRUE(first.lesson->save(env, "checkpoint", {}).ok());
  Class second(planned(GetParam()), 2);
  ASSERT_TRUE(second.lesson->load(env, "checkpoint").ok());
  second.run(20);
  EXPECT_EQ(second.values(), whole.values());
}

INSTANTIATE_TEST_SUITE_P(Lesson, EveryRecipe,
                         testing::Values("fused", "galore_fused:rank=8,scale=1", "lisa:layers=1,every=4",
                                         "slimfit:frozen=0.5"),
                         [](const auto& one) { return one.param.substr(0, one.param.find(':')); });

TEST(Fused, IsTheSameToTheBitInTheRoomOfOneLayer) {
  for (float clip : {0.f, 0.1f}) {
    Class whole({.clip = clip}), fused({.clip = clip, .gradient = "fused"}, 2);
    whole.run(8), fused.run(8);
    EXPECT_EQ(whole.values(), fused.values()) << clip;
    int64_t layer = 0, outside = 0;
    for (size_t i = 0; i < fused.parts.size(); ++i) {
      const Part& part = fused.parts[i];
      if (part.role.starts_with("blk.1")) continue;
      (part.role.starts_with("blk.0") ? layer : outside) += part.size() * 4;
    }
    EXPECT_EQ(fused.bytes.gradients, layer + outside);
    EXPECT_EQ(fused.bytes.optimizer, whole.bytes.optimizer);
  }
}

TEST(Fused, RefusesASumOverBatchesAndStopsWhereAGradientIsNoNumber) {
  Class one({.gradient = "fused"});
  LessonPlan plan = one.lesson->plan();
  plan.parts = 2;
  EXPECT_EQ(Lesson::bytes(*one.network, one.parts, plan, 120).code(), Code::invalid);
  one.run(2);
  one.parts[0].value[0] = NAN;
  EXPECT_EQ(one.lesson->step(one.batches).code(), Code::invalid);
  EXPECT_EQ(one.lesson->done(), 2);
}

TEST(Lisa, ChangesOnlyTheLayersOfItsTurnAndHoldsStateForNoOthers) {
  Class one(planned("lisa:layers=1,every=4")), full;
  const int64_t outside = one.bytes.optimizer - full.bytes.optimizer / 2;
  EXPECT_GT(outside, 0);
  EXPECT_LT(one.bytes.optimizer, full.bytes.optimizer * 2 / 3);
  EXPECT_LT(one.bytes.gradients, full.bytes.gradients * 2 / 3);
  int changes[2] = {0, 0};
  for (int64_t step = 0; step < 40; ++step) {
    const auto before = one.values();
    one.run(step + 1);
    bool changed[2] = {false, false};
    for (size_t i = 0; i < one.parts.size(); ++i) {
      const Part& part = one.parts[i];
      if (!part.role.starts_with("blk.")) continue;
      const bool same =
          std::equal(part.value.begin(), part.value.end(), before.begin() + one.parts.offset(part));
      changed[part.role[4] - '0'] |= !same;
    }
    EXPECT_EQ(changed[0] + changed[1], 1) << step;
    changes[0] += changed[0], changes[1] += changed[1];
  }
  EXPECT_GT(changes[0], 0);
  EXPECT_GT(changes[1], 0);
}

TEST(SlimFit, KeepsStatesButGradientsOfTheLayersThatLearnOnly) {
  Class one(planned("slimfit:frozen=0.5")), full;
  EXPECT_GE(one.bytes.optimizer, full.bytes.optimizer);
  EXPECT_LT(one.bytes.gradients, full.bytes.gradients * 2 / 3);
  EXPECT_EQ(read_recipe("slimfit")->slots, "q8_0");
}

TEST(Ist, WantsAdaptersThatCanBeTurnedDown) {
  Class one;
  LessonPlan plan;
  plan.selector = "ist";
  const Status status = Lesson::bytes(*one.network, one.parts, plan, 60).status();
  EXPECT_EQ(status.code(), Code::invalid);
}

TEST(Lesson, AStageFollowsAnotherWithItsStateWhereTheOptimizerIsTheSame) {
  MemoryEnv env;
  Class first;
  first.run(9);
  ASSERT_TRUE(first.lesson->save(env, "checkpoint", Json()).ok());
  Class second({.clip = 2}), other({}, 1, "muon");
  EXPECT_EQ(second.lesson->load(env, "checkpoint").code(), Code::conflict);
  ASSERT_TRUE(second.lesson->follow(env, "checkpoint").ok());
  EXPECT_EQ(second.lesson->done(), 9);
  EXPECT_EQ(second.values(), first.values());
  second.run(20);
  EXPECT_NE(second.values(), first.values());
  ASSERT_TRUE(other.lesson->follow(env, "checkpoint").ok());
  EXPECT_EQ(other.values(), first.values());
  const auto losses = other.run(30);
  EXPECT_LT(losses.back(), losses.front());
}

TEST(Lesson, TheRateIsConstantAndCoolsAtTheEnd) {
  LessonPlan plan{.rate = 1, .last_rate = 0, .steps = 100, .warmup = 10, .cool = 9};
  EXPECT_FLOAT_EQ(plan.rate_at(5), 0.5f);
  EXPECT_FLOAT_EQ(plan.rate_at(11), 1);
  EXPECT_FLOAT_EQ(plan.rate_at(91), 1);
  EXPECT_FLOAT_EQ(plan.rate_at(96), 0.5f);
  EXPECT_FLOAT_EQ(plan.rate_at(100), 0.1f);
  plan.cool = 0;
  EXPECT_FLOAT_EQ(plan.rate_at(100), 1);
  LessonPlan longer = plan;
  longer.steps = 200;
  EXPECT_EQ(longer.json(), plan.json());
  longer.cool = plan.cool = 9;
  EXPECT_NE(longer.json(), plan.json());
}

TEST(Lesson, WhatIsKeptAndHowMakesNoDifferenceButInBytes) {
  Class held({.slots = "f32"}), again({.keep = KeepMode::recompute, .slots = "f32"});
  held.run(5), again.run(5);
  EXPECT_EQ(held.values(), again.values());
  EXPECT_LT(again.bytes.activations, held.bytes.activations / 5);
}

TEST(Lesson, BooksWhatItSaid) {
  Class one;
  EXPECT_EQ(one.bytes.total(), one.ledger.used());
  EXPECT_EQ(one.bytes.gradients, one.ledger.used(Tag::gradients));
  EXPECT_EQ(one.bytes.optimizer, one.ledger.used(Tag::optimizer));
  EXPECT_EQ(one.bytes.activations, one.ledger.used(Tag::activations));
  const int64_t before = one.ledger.peak();
  one.run(2);
  EXPECT_EQ(one.ledger.peak(), before) << "nothing is booked while it runs";
}

TEST(Lesson, ALossThatIsNoNumberChangesNothing) {
  Class one;
  one.run(2);
  one.parts[0].value[0] = NAN;
  const auto values = one.values();
  const auto progress = one.lesson->step(one.batches);
  EXPECT_EQ(progress.code(), Code::invalid);
  EXPECT_EQ(one.lesson->done(), 2);
  for (size_t i = 1; i < values.size(); ++i) EXPECT_EQ(one.parts.all()[i], values[i]);
}

TEST(Lesson, ACheckpointOfAnotherPlanOrADamagedOneIsRefused) {
  MemoryEnv env;
  Class one;
  one.run(1);
  ASSERT_TRUE(one.lesson->save(env, "checkpoint", {}).ok());
  Class other({.clip = 2});
  EXPECT_EQ(other.lesson->load(env, "checkpoint").code(), Code::conflict);
  auto& bytes = env.bytes("checkpoint");
  bytes[bytes.size() / 2] ^= std::byte{1};
  Class same;
  EXPECT_EQ(same.lesson->load(env, "checkpoint").code(), Code::corrupt);
  bytes.resize(bytes.size() - 5);
  EXPECT_EQ(same.lesson->load(env, "checkpoint").code(), Code::corrupt);
}

TEST(Lesson, AFullDiskLeavesTheOldCheckpoint) {
  MemoryEnv memory;
  FaultPlan faults;
  FaultEnv env(memory, faults);
  Class one;
  one.run(1);
  ASSERT_TRUE(one.lesson->save(env, "checkpoint", {}).ok());
  const int64_t calls = faults.calls();
  one.run(2);
  for (int64_t call = 0; call < calls; ++call) {
    faults.fail_at(call, Fault::short_write, true);
    EXPECT_FALSE(one.lesson->save(env, "checkpoint", {}).ok()) << call;
    faults.heal();
    Class other;
    ASSERT_TRUE(other.lesson->load(env, "checkpoint").ok()) << call;
    EXPECT_EQ(other.lesson->done(), 1);
  }
}

LessonPlan zeroth(const char* gradient) {
  return {.optimizer = "sgd",
          .rate = 3e-4f,
          .decay = 0,
          .clip = 0,
          .steps = 300,
          .warmup = 5,
          .gradient = gradient};
}

TEST(Zeroth, LearnsWithoutAnythingOfTheWayBack) {
  Class one(zeroth("mezo"), 2);
  EXPECT_EQ(one.bytes.total(), one.ledger.used());
  EXPECT_EQ(one.bytes.gradients, 0);
  EXPECT_EQ(one.bytes.activations, 0);
  EXPECT_EQ(one.bytes.optimizer, 64);
  const double before = *one.lesson->evaluate(one.batches, 4);
  one.run(300);
  EXPECT_LT(*one.lesson->evaluate(one.batches, 4), before - 0.1);
}

TEST(Zeroth, WithWeightsInAFileIsTheSameToTheBitInTheRoomOfOneStage) {
  Class resident(zeroth("mezo")), streamed(zeroth("zo2"), 2);
  resident.run(12), streamed.run(12);
  EXPECT_EQ(*resident.lesson->evaluate(resident.batches, 2), *streamed.lesson->evaluate(streamed.batches, 2));
  EXPECT_EQ(resident.values(), streamed.values());
  EXPECT_EQ(streamed.bytes.total(), streamed.ledger.used());
  Class deep(zeroth("zo2"), 1, nullptr, 9);
  EXPECT_EQ(deep.ledger.used(), streamed.ledger.used()) << "whatever the depth";
  EXPECT_EQ(deep.ledger.used(Tag::weights), Zeroth::bytes(*deep.network, deep.parts));
  EXPECT_LT(deep.ledger.used(Tag::weights), deep.parts.values() * 4 / 5);
}

TEST(Zeroth, StoppedAndResumedItIsTheSameToTheBit) {
  for (const char* gradient : {"mezo", "zo2"}) {
    Class whole(zeroth(gradient), 2);
    whole.run(12);
    MemoryEnv env;
    Class first(zeroth(gradient)), second(zeroth(gradient), 2);
    first.run(5);
    ASSERT_TRUE(first.lesson->save(env, "checkpoint", {}).ok());
    ASSERT_TRUE(second.lesson->load(env, "checkpoint").ok());
    second.run(12);
    EXPECT_EQ(second.values(), whole.values());
  }
}

TEST(Zeroth, RefusesWhatWantsGradients) {
  Class one(zeroth("mezo"));
  for (auto change :
       {+[](LessonPlan& plan) { plan.optimizer = "adamw"; }, +[](LessonPlan& plan) { plan.clip = 1; },
        +[](LessonPlan& plan) { plan.selector = "lisa"; },
        +[](LessonPlan& plan) { plan.objective = "simpo"; }}) {
    LessonPlan plan = one.lesson->plan();
    change(plan);
    EXPECT_EQ(Lesson::bytes(*one.network, one.parts, plan, 120).code(), Code::invalid);
  }
}

TEST(Batches, VisitEachWindowOnceARoundAndKeepDocumentsApart) {
  std::vector<int> seen(97);
  for (uint64_t i = 0; i < 97; ++i) ++seen[shuffled(5, i, 97)];
  EXPECT_EQ(seen, std::vector<int>(97, 1));
  const std::vector<int32_t> tokens = {1, 2, 9, 3, 4, 5, 9, 6, 7};
  const TokenWindows windows(tokens, {.length = 4, .sequences = 2, .separator = 9, .in_order = true});
  TextBatch batch;
  ASSERT_TRUE(windows.fill(0, 0, batch).ok());
  EXPECT_EQ(batch.tokens, (std::vector<int32_t>{1, 2, 9, 3, 4, 5, 9, 6}));
  EXPECT_EQ(batch.targets, (std::vector<int32_t>{2, 9, -1, 4, 5, 9, -1, 7}));
  EXPECT_EQ(batch.starts, (std::vector<int32_t>{0, 3, 4, 7}));
  EXPECT_EQ(batch.weights, (std::vector<float>{1, 1, 0, 1, 1, 1, 0, 1}));
  EXPECT_EQ(TokenWindows(tokens, {.length = 9}).fill(0, 0, batch).code(), Code::invalid);
}

}  // namespace
}  // namespace varve
