// Lessons over a model in a file: adapters that take turns, and weights that go back into the file.
#include <gtest/gtest.h>

#include <algorithm>

#include "learn/form/form.h"
#include "learn/tune/model_file.h"
#include "learn/tune/recipe.h"
#include "learn/tune/rewrite.h"
#include "tests/support/memory_env.h"

namespace varve {
namespace {

constexpr FreshShape kShape{
    .layers = 3, .width = 32, .hidden = 64, .heads = 4, .kv_heads = 2, .vocabulary = 40, .context = 64};

struct Base {
  MemoryEnv env;
  Ledger ledger{int64_t(64) << 20};
  std::unique_ptr<WeightStore> store;
  std::vector<int32_t> tokens;

  Base() {
    Parts parts;
    FullSource source(true, parts);
    const auto network = Network::make(*fresh_spec(kShape), source);
    EXPECT_TRUE(network.ok() && parts.allocate(ledger).ok());
    draw_values(parts, kShape.layers, 1);
    GgufWriter writer;
    EXPECT_TRUE(write_model(kShape, parts, **codec_named("bf16"), writer, env, "base", ledger).ok());
    store = open("base");
    for (int32_t i = 0; i < 2000; ++i) tokens.push_back(i % 37 == 36 ? 39 : (i % 37) * (i % 37) % 38);
  }
  std::unique_ptr<WeightStore> open(const std::string& path) {
    const auto mapping = std::move(env.map(path)).value();
    return std::move(open_resident_weights(env, path, *Gguf::parse(mapping->bytes()), ledger)).value();
  }
};

TEST(Rewrite, PutsWhatLearntIntoTheFileAndLeavesTheRest) {
  Base base;
  Parts parts;
  FullSource source(*base.store, parts);
  const auto network = Network::make(*fresh_spec(kShape), source);
  ASSERT_TRUE(network.ok() && parts.allocate(base.ledger).ok() && source.read().ok());
  ASSERT_TRUE(rewrite_model(base.env, "base", parts, {}, "same", base.ledger).ok());
  EXPECT_EQ(base.env.bytes("same"), base.env.bytes("base"));
  Part& part = *parts.find("blk.1.ffn_up");
  part.value[5] = 0.5f;
  ASSERT_TRUE(rewrite_model(base.env, "base", parts, {}, "other", base.ledger).ok());
  const auto other = base.open("other");
  size_t different = 0;
  for (size_t i = 0; i < base.env.bytes("base").size(); ++i)
    different += base.env.bytes("base")[i] != base.env.bytes("other")[i];
  EXPECT_GT(different, 0u);
  EXPECT_LE(different, 2u) << "one value of two bytes";
  const WeightPin pin = std::move(other->pin(other->find("blk.1.ffn_up"))).value();
  std::vector<float> values(size_t(part.size()));
  (*pin).codec->decode((*pin).bytes, values);
  EXPECT_EQ(values[5], 0.5f);
  const Json lesson = Json::object().set("recipe", "full");
  ASSERT_TRUE(rewrite_model(base.env, "base", parts, lesson, "told", base.ledger).ok());
  const Gguf told = Gguf::parse(base.env.bytes("told")).value(),
             plain = Gguf::parse(base.env.bytes("other")).value();
  EXPECT_EQ(parse_json(told.string("varve.lesson").value()).value(), lesson);
  EXPECT_EQ(told.metadata().size(), plain.metadata().size() + 1);
  ASSERT_EQ(told.tensors().size(), plain.tensors().size());
  for (size_t i = 0; i < told.tensors().size(); ++i) {
    const auto bytes = [&](const char* path, const GgufTensor& one) {
      return std::string(reinterpret_cast<const char*>(base.env.bytes(path).data()) + one.offset,
                         size_t(one.bytes));
    };
    EXPECT_EQ(bytes("told", told.tensors()[i]), bytes("other", plain.tensors()[i])) << told.tensors()[i].name;
  }
}

struct Adapters {
  explicit Adapters(Base& base, const std::string& recipe, int threads = 1)
      : pool(threads), batches(base.tokens, {.length = 30, .sequences = 4, .separator = 39}) {
    const Recipe made = *read_recipe(recipe);
    source = std::make_unique<AdapterSource>(*base.store, std::move(forms().make(made.form)).value(),
                                             std::vector<std::string>{"blk.*.*"}, parts);
    network = std::move(Network::make(*fresh_spec(kShape), *source)).value();
    EXPECT_TRUE(parts.allocate(ledger).ok());
    LessonPlan plan{.rate = 0.02f, .decay = 0, .steps = 60, .warmup = 5};
    EXPECT_TRUE(set_plan(made, plan).ok());
    bytes = *Lesson::bytes(*network, parts, plan, batches.rows(), threads);
    lesson = std::move(Lesson::make(*network, parts, plan, batches.rows(), pool, ledger)).value();
    const Status began =
        source->form().begin({source->weights(), parts, *base.store, lesson->train(), ledger, 1, {}});
    EXPECT_TRUE(began.ok());
  }
  double run(int64_t until) {
    double loss = 0;
    while (lesson->done() < until) {
      const auto progress = lesson->step(batches);
      EXPECT_TRUE(progress.ok());
      if (!progress.ok()) break;
      loss = progress->loss;
    }
    return loss;
  }
  std::vector<float> values() const { return {parts.all().begin(), parts.all().end()}; }
  Ledger ledger{int64_t(64) << 20};
  ThreadPool pool;
  TokenWindows batches;
  Parts parts;
  std::unique_ptr<AdapterSource> source;
  std::unique_ptr<Network> network;
  std::unique_ptr<Lesson> lesson;
  LessonBytes bytes;
};

TEST(Ist, TeachesAdaptersInTurnsInTheRoomOfThoseThatLearn) {
  Base base;
  Adapters all(base, "lora"), one(base, "ist:layers=1,every=4");
  EXPECT_EQ(one.bytes.total(), one.ledger.used());
  EXPECT_EQ(3 * one.bytes.gradients, all.bytes.gradients);
  EXPECT_LT(one.bytes.optimizer, all.bytes.optimizer / 2);
  const double first = one.run(1);
  for (int64_t step = 1; step < 12; ++step) {
    const auto before = one.values();
    one.run(step + 1);
    std::vector<bool> changed(3);
    for (size_t i = 0; i < one.parts.size(); ++i) {
      const Part& part = one.parts[i];
      const bool same =
          std::equal(part.value.begin(), part.value.end(), before.begin() + one.parts.offset(part));
      if (!same) changed[size_t(part.role[4] - '0')] = true;
    }
    EXPECT_EQ(std::count(changed.begin(), changed.end(), true), 1) << step;
  }
  EXPECT_LT(one.run(60), first - 0.1);
}

TEST(OverAModel, StoppedAndResumedItIsTheSameToTheBit) {
  Base base;
  for (const char* recipe : {"ist:layers=1,every=4", "lora_mezo"}) {
    Adapters whole(base, recipe, 2), first(base, recipe), second(base, recipe, 2);
    whole.run(14), first.run(6);
    MemoryEnv env;
    ASSERT_TRUE(first.lesson->save(env, "checkpoint", {}).ok());
    ASSERT_TRUE(second.lesson->load(env, "checkpoint").ok());
    second.run(14);
    EXPECT_EQ(second.values(), whole.values()) << recipe;
  }
}

}  // namespace
}  // namespace varve
