// Objectives over pairs of answers: what a lesson steps by is the slope of the loss that the slow transformer
// gives, and a pair takes the room of one sequence.
#include <gtest/gtest.h>

#include <cmath>

#include "learn/form/form.h"
#include "learn/tune/lesson.h"
#include "run/model/arch/family.h"
#include "tests/reference/random_model.h"
#include "tests/reference/reference_model.h"
#include "tests/support/memory_env.h"
#include "tests/support/run_model.h"

namespace varve {
namespace {

// Two pairs: a beginning of five tokens that is not learnt, and two ends of different lengths.
class Pairs : public Batches {
 public:
  explicit Pairs(int32_t vocabulary) : drawn_(golden_tokens(60, vocabulary)) {}
  int32_t rows() const override { return 12; }
  int64_t count() const override { return 2; }
  Status fill(int64_t, int32_t part, TextBatch& out) const override {
    out.clear();
    out.starts = {0};
    const int32_t length = part % 2 == 0 ? 12 : 9;
    for (int32_t i = 0; i < length; ++i) {
      auto token = [&](int32_t at) {
        return drawn_[size_t(at < 5 ? part / 2 * 5 + at : 10 + part * 12 + at)];
      };
      const bool learn = i >= 4 && i + 1 < length;
      out.tokens.push_back(token(i));
      out.targets.push_back(learn ? token(i + 1) : -1);
      out.weights.push_back(learn ? 1.f : 0.f);
    }
    return {};
  }

 private:
  std::vector<int32_t> drawn_;
};

class Preference : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(reference::write_random_model({.architecture = "llama"}, 7, env_, "m").ok());
    gguf_ = Gguf::parse(env_.map("m").value()->bytes()).value();
    store_ = std::move(open_resident_weights(env_, "m", gguf_, ledger_)).value();
  }
  void begin(LeafSource& source, LessonPlan plan) {
    network_ = std::move(Network::make(read_decoder_spec(gguf_).value(), source)).value();
    ASSERT_TRUE(parts_.allocate(ledger_).ok());
    plan.parts = 2, plan.warmup = 0, plan.last_rate = 1, plan.clip = 0, plan.decay = 0;
    plan.precision = TrainOps::Precision::exact, plan.slots = "f32";
    bytes_ = Lesson::bytes(*network_, parts_, plan, 12).value();
    const int64_t before = ledger_.used();
    auto made = Lesson::make(*network_, parts_, plan, 12, pool_, ledger_);
    ASSERT_TRUE(made.ok());
    lesson_ = std::move(made).value();
    EXPECT_EQ(ledger_.used() - before, bytes_.total() - bytes_.weights);
  }
  double reference_loss(const Objective& objective) {
    const reference::Model model(env_, "m");
    const Pairs pairs(network_->spec().vocabulary);
    TextBatch batch;
    double loss = 0;
    for (int32_t pair = 0; pair < 2; ++pair) {
      std::vector<Likelihood> told(2);
      std::vector<double> slopes(2);
      for (int32_t side = 0; side < 2; ++side) {
        EXPECT_TRUE(pairs.fill(0, 2 * pair + side, batch).ok());
        const auto logits = model.logits(batch.tokens);
        for (size_t i = 0; i < batch.tokens.size(); ++i) {
          if (batch.targets[i] < 0) continue;
          double total = 0;
          for (double logit : logits[i]) total += std::exp(logit);
          told[size_t(side)].nll += std::log(total) - logits[i][size_t(batch.targets[i])];
          ++told[size_t(side)].tokens;
        }
      }
      loss += objective.weigh(told, slopes) / 2;
    }
    return loss;
  }
  MemoryEnv env_;
  Ledger ledger_{int64_t(1) << 28};
  ThreadPool pool_{1};
  Gguf gguf_;
  std::unique_ptr<WeightStore> store_;
  Parts parts_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Lesson> lesson_;
  LessonBytes bytes_;
};

TEST_F(Preference, ASimpoStepIsTheSlopeOfTheReferencesLoss) {
  FullSource source(*store_, parts_);
  begin(source, {.optimizer = "sgd", .rate = 1, .objective = "simpo"});
  ASSERT_TRUE(source.read().ok());
  const auto simpo = std::move(objectives().make("simpo")).value();
  const Pairs pairs(network_->spec().vocabulary);
  const std::vector<float> before(parts_.all().begin(), parts_.all().end());
  const auto progress = lesson_->step(pairs);
  ASSERT_TRUE(progress.ok());
  EXPECT_NEAR(progress->loss, reference_loss(*simpo), 1e-5);
  for (size_t i = 0; i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    const auto at = size_t(part.size() / 2), offset = size_t(parts_.offset(part)) + at;
    const double step = double(before[offset]) - double(part.value[at]);
    const GgufTensor* tensor = gguf_.tensor(part.role + ".weight");
    ASSERT_NE(tensor, nullptr);
    float* value = reinterpret_cast<float*>(env_.bytes("m").data() + tensor->offset) + at;
    const float keep = *value;
    auto moved = [&](float by) { return *value = keep + by, reference_loss(*simpo); };
    const double slope = (moved(1e-3f) - moved(-1e-3f)) / (double(keep + 1e-3f) - double(keep - 1e-3f));
    *value = keep;
    EXPECT_NEAR(step, slope, 2e-5 + 2e-3 * std::abs(slope)) << part.role;
  }
}

TEST_F(Preference, DpoBeginsAtLogTwoAndComparesWithTheModelAsItWas) {
  AdapterSource source(*store_, std::move(forms().make("lora:rank=4")).value(), {"blk.*.*"}, parts_);
  begin(source, {.optimizer = "adamw", .rate = 0.01f, .objective = "dpo"});
  ASSERT_TRUE(
      source.form().begin({source.weights(), parts_, *store_, lesson_->train(), ledger_, 3, {}}).ok());
  const Pairs pairs(network_->spec().vocabulary);
  EXPECT_DOUBLE_EQ(lesson_->evaluate(pairs, 2).value(), std::log(2)) << "b is nothing yet";
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(lesson_->step(pairs).ok());
  EXPECT_LT(lesson_->evaluate(pairs, 2).value(), 0.1);
  TextBatch batch;
  ASSERT_TRUE(pairs.fill(0, 0, batch).ok());
  std::vector<float> nll(12), base(12);
  const Lines lines{batch.tokens, batch.targets, batch.weights, batch.starts};
  ASSERT_TRUE(network_->evaluate(lines, nll).ok() && network_->evaluate(lines, base, true).ok());
  EXPECT_NE(nll, base);
  std::fill(parts_.all().begin(), parts_.all().end(), 0.f);
  ASSERT_TRUE(network_->evaluate(lines, nll).ok());
  EXPECT_EQ(nll, base) << "without the adapter it is the base to the bit";
}

TEST_F(Preference, DpoOverWeightsThatThemselvesLearnIsRefused) {
  FullSource source(*store_, parts_);
  network_ = std::move(Network::make(read_decoder_spec(gguf_).value(), source)).value();
  ASSERT_TRUE(parts_.allocate(ledger_).ok());
  const Status made = Lesson::make(*network_, parts_, {.objective = "dpo"}, 12, pool_, ledger_).status();
  EXPECT_EQ(made.code(), Code::invalid);
  EXPECT_NE(made.message().find("simpo"), std::string_view::npos);
}

TEST_F(Preference, APairTakesTheRoomOfOneSequence) {
  AdapterSource source(*store_, std::move(forms().make("lora:rank=4")).value(), {"blk.*.*"}, parts_);
  const auto network = std::move(Network::make(read_decoder_spec(gguf_).value(), source)).value();
  const int64_t sft = Lesson::bytes(*network, parts_, {}, 12)->total();
  EXPECT_EQ(Lesson::bytes(*network, parts_, {.objective = "dpo"}, 12)->total(), sft);
}

}  // namespace
}  // namespace varve
