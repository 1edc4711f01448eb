// A base of any number format, in memory or in its file: low-rank sums learn over it, to the same bits.
#include <gtest/gtest.h>

#include "learn/form/form.h"
#include "learn/tune/lesson.h"
#include "run/model/arch/family.h"
#include "tests/support/memory_env.h"
#include "tests/support/run_model.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

constexpr int32_t kLength = 24;

class FrozenBase : public ::testing::Test {
 protected:
  struct Outcome {
    std::vector<double> losses;
    std::vector<float> values;
    int64_t weights_peak = 0;
  };
  void write(const std::string& format) {
    const TinyModel model{
        .layers = 2, .width = 256, .heads = 4, .kv_heads = 2, .hidden = 256, .weights = format};
    ASSERT_TRUE(write_tiny_model(env_, "base", model).ok()) << format;
  }
  // stream < 0: resident.
  Outcome learn(int64_t stream, int64_t steps) {
    Ledger ledger(int64_t(256) << 20);
    const auto mapping = env_.map("base").value();
    const Gguf gguf = Gguf::parse(mapping->bytes()).value();
    const auto store = stream < 0 ? open_resident_weights(env_, "base", gguf, ledger).value()
                                  : open_streamed_weights(env_, "base", gguf, ledger, stream).value();
    Outcome outcome;
    Parts parts;
    AdapterSource source(*store, std::move(forms().make("lora:rank=4")).value(), {"blk.*.*"}, parts);
    const auto network = Network::make(read_decoder_spec(gguf).value(), source).value();
    EXPECT_TRUE(parts.allocate(ledger).ok());
    ThreadPool one(1);
    TrainOps train = TrainOps::make(one, ledger, TrainOps::Precision::exact).value();
    EXPECT_TRUE(source.form().begin({source.weights(), parts, *store, train, ledger, 1, {}}).ok());
    const auto drawn = golden_tokens(kLength + 1, 384);
    const std::vector<int32_t> tokens(drawn.begin(), drawn.end());
    const TokenWindows batches(tokens, {.length = kLength, .sequences = 1});
    LessonPlan plan{.rate = 0.02f, .decay = 0, .steps = steps, .warmup = 0, .keep = KeepMode::recompute};
    ThreadPool pool(2);
    const auto lesson = Lesson::make(*network, parts, plan, batches.rows(), pool, ledger).value();
    for (int64_t i = 0; i < steps; ++i) {
      const auto progress = lesson->step(batches);
      EXPECT_TRUE(progress.ok());
      if (!progress.ok()) break;
      outcome.losses.push_back(progress->loss);
    }
    outcome.values.assign(parts.all().begin(), parts.all().end());
    outcome.weights_peak = ledger.used(Tag::weights) - parts.values() * 4;
    return outcome;
  }
  MemoryEnv env_;
};

TEST_F(FrozenBase, OfEveryNumberFormatLearnsStreamedAsResident) {
  for (const std::string& format : codecs().names()) {
    const Codec& codec = *codec_named(format).value();
    if (!codec.gguf_type() || codec.sparse()) continue;  // next to nothing is left of random weights
    write(format);
    const Outcome resident = learn(-1, 6), streamed = learn(0, 6);
    ASSERT_EQ(resident.losses.size(), 6u) << format;
    EXPECT_LT(resident.losses.back(), 0.9 * resident.losses.front()) << format;
    EXPECT_EQ(streamed.losses, resident.losses) << format;
    EXPECT_EQ(streamed.values, resident.values) << format;
  }
}

TEST_F(FrozenBase, LargerThanItsRoomIsTheSameToTheBit) {
  const TinyModel model{.layers = 12, .width = 256, .heads = 4, .kv_heads = 2, .hidden = 1024};
  ASSERT_TRUE(write_tiny_model(env_, "base", model).ok());
  const Outcome resident = learn(-1, 3), streamed = learn(0, 3), some = learn(int64_t(8) << 20, 3);
  EXPECT_GT(resident.weights_peak, int64_t(40) << 20);
  EXPECT_LT(streamed.weights_peak, int64_t(4) << 20);
  EXPECT_EQ(streamed.values, resident.values);
  EXPECT_EQ(some.values, resident.values) << "whatever stays in memory";
}

}  // namespace
}  // namespace varve
