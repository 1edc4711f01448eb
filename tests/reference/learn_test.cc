// The network that learns against the slow transformer: its losses, and every gradient against differences of
// losses in double. Then against itself: what is kept, how, and by how many threads.
#include "learn/grad/network.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/base/rng.h"
#include "learn/form/form.h"
#include "run/model/arch/family.h"
#include "tests/reference/random_model.h"
#include "tests/reference/reference_model.h"
#include "tests/support/memory_env.h"
#include "tests/support/run_model.h"

namespace varve {
namespace {

using Precision = TrainOps::Precision;
using reference::RandomModel;

// Two documents, of which some tokens are not to be learnt and one weighs against.
struct Text {
  std::vector<int32_t> tokens, targets, starts = {0, 14};
  std::vector<float> weights;
  explicit Text(int32_t vocabulary, int32_t rows = 24) {
    const auto drawn = golden_tokens(rows + 1, vocabulary);
    for (int32_t i = 0; i < rows; ++i) {
      const bool last = i == 13 || i == rows - 1 || i == 3;
      tokens.push_back(drawn[size_t(i)]);
      targets.push_back(last ? -1 : drawn[size_t(i) + 1]);
      weights.push_back(last ? 0 : i == 5 ? -0.02f : 0.05f);
    }
  }
  Lines lines() const { return {tokens, targets, weights, starts}; }
  double loss(const std::vector<float>& nll) const {
    double sum = 0;
    for (size_t i = 0; i < nll.size(); ++i) sum += double(weights[i]) * double(nll[i]);
    return sum;
  }
};

double reference_loss(Env& env, const std::string& path, const Text& text) {
  const reference::Model model(env, path);
  double sum = 0;
  for (size_t document = 0; document < text.starts.size(); ++document) {
    const auto begin = size_t(text.starts[document]);
    const size_t end =
        document + 1 < text.starts.size() ? size_t(text.starts[document + 1]) : text.tokens.size();
    const auto logits =
        model.logits({text.tokens.begin() + int64_t(begin), text.tokens.begin() + int64_t(end)});
    for (size_t i = begin; i < end; ++i) {
      if (text.targets[i] < 0) continue;
      double total = 0;
      for (double logit : logits[i - begin]) total += std::exp(logit);
      sum += double(text.weights[i]) * (std::log(total) - logits[i - begin][size_t(text.targets[i])]);
    }
  }
  return sum;
}

struct Options {
  Precision precision = Precision::exact;
  int threads = 1;
  KeepMode mode = KeepMode::hold;
  float recompute = 0;
  const char* codec = "f32";
  int32_t head_rows = 0, head_columns = 0;
  bool low_rank = false;
};

// A model file, and a network over it.
class Rig {
 public:
  Rig(Env& env, const std::string& path, const Options& options)
      : pool_(options.threads),
        train_(std::move(TrainOps::make(pool_, ledger_, options.precision)).value()),
        gguf_(Gguf::parse(env.map(path).value()->bytes()).value()),
        store_(std::move(open_resident_weights(env, path, gguf_, ledger_)).value()),
        full_(*store_, parts_),
        low_(*store_, std::move(forms().make("lora:rank=4,alpha=2")).value(),
             {"blk.*.attn_q", "blk.*.ffn_down"}, parts_) {
    LeafSource& source = options.low_rank ? static_cast<LeafSource&>(low_) : full_;
    network_ = std::move(Network::make(read_decoder_spec(gguf_).value(), source)).value();
    EXPECT_TRUE(parts_.allocate(ledger_).ok());
    EXPECT_TRUE(options.low_rank || full_.read().ok());
    plan_ = plan_layers(network_->score(), int32_t(network_->spec().layers.size()), 24, options.mode,
                        **codec_named(options.codec), options.recompute);
    plan_.head_rows = options.head_rows, plan_.head_columns = options.head_columns;
    std::unique_ptr<File> spill;
    if (options.mode == KeepMode::spill) spill = env.open("spilled", Open::create).value();
    const int64_t before = ledger_.used();
    EXPECT_TRUE(network_->prepare(plan_, train_, ledger_, std::move(spill)).ok());
    booked_ = ledger_.used() - before;
  }

  std::vector<float> gradient(const Text& text, std::vector<float>* nll = nullptr) {
    Accumulate sink = std::move(Accumulate::make(parts_, ledger_)).value();
    std::vector<float> own(text.tokens.size());
    const Status status = network_->learn(text.lines(), nll != nullptr ? *nll : own, sink);
    EXPECT_TRUE(status.ok()) << status.text();
    return {sink.all().begin(), sink.all().end()};
  }

  Ledger ledger_{int64_t(1) << 30};
  ThreadPool pool_;
  TrainOps train_;
  Gguf gguf_;
  std::unique_ptr<WeightStore> store_;
  Parts parts_;
  FullSource full_;
  AdapterSource low_;
  std::unique_ptr<Network> network_;
  NetworkPlan plan_;
  int64_t booked_ = 0;
};

struct Case {
  const char* name;
  RandomModel model;
};
std::ostream& operator<<(std::ostream& out, const Case& one) {
  return out << one.name;
}

class Learning : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override { ASSERT_TRUE(reference::write_random_model(GetParam().model, 7, env_, path_).ok()); }
  float* tensor(const std::string& role) {
    auto& bytes = env_.bytes(path_);
    const Gguf gguf = Gguf::parse(bytes).value();
    const GgufTensor* found = gguf.tensor(role.ends_with(".bias") ? role : role + ".weight");
    EXPECT_NE(found, nullptr) << role;
    EXPECT_EQ(found->type, 0u) << role;
    return reinterpret_cast<float*>(bytes.data() + found->offset);
  }
  double slope(float* at, const Text& text) {
    const float keep = *at;
    *at = keep + 1e-3f;
    const double above = reference_loss(env_, path_, text), high = double(*at);
    *at = keep - 1e-3f;
    const double difference = (above - reference_loss(env_, path_, text)) / (high - double(*at));
    *at = keep;
    return difference;
  }
  MemoryEnv env_;
  const std::string path_ = "random.gguf";
};

TEST_P(Learning, LossesAndGradientsAreTheReferences) {
  Rig rig(env_, path_, {});
  const Text text(rig.network_->spec().vocabulary);
  std::vector<float> nll(text.tokens.size());
  const auto gradient = rig.gradient(text, &nll);
  EXPECT_NEAR(text.loss(nll), reference_loss(env_, path_, text), 1e-5);
  double worst = 0;
  for (size_t i = 0; i < rig.parts_.size(); ++i) {
    const Part& part = rig.parts_[i];
    const auto own = std::span(gradient).subspan(size_t(rig.parts_.offset(part)), size_t(part.size()));
    double size = 0;
    for (float value : own) size = std::max(size, std::abs(double(value)));
    EXPECT_GT(size, 0) << part.role;
    float* values = tensor(part.role);
    for (int64_t at : {part.size() / 7, part.size() / 2, part.size() - 1}) {
      const double error = std::abs(double(own[size_t(at)]) - slope(values + at, text)) / (size + 1e-4);
      worst = std::max(worst, error);
      EXPECT_LT(error, 2e-3) << part.role << " " << at;
    }
  }
  std::printf("             worst difference, relative to the largest of its tensor: %.1e\n", worst);
}

TEST_P(Learning, HowSlotsAreKeptAndHowManyThreadsDoesNotChangeABit) {
  for (Precision precision : {Precision::exact, Precision::bf16}) {
    Rig first(env_, path_, {.precision = precision});
    const Text text(first.network_->spec().vocabulary);
    const auto held = first.gradient(text);
    Rig again(env_, path_, {.precision = precision, .threads = 3, .mode = KeepMode::recompute});
    EXPECT_EQ(again.gradient(text), held);
    EXPECT_EQ(again.gradient(text), held) << "the second time";
    Rig spilled(env_, path_, {.precision = precision, .mode = KeepMode::spill});
    EXPECT_EQ(spilled.gradient(text), held);
    env_.remove("spilled").ignore("the next one makes its own");
    for (float recompute : {0.3f, 0.5f, 1.f}) {
      Rig some(env_, path_, {.precision = precision, .mode = KeepMode::spill, .recompute = recompute});
      EXPECT_EQ(some.gradient(text), held) << recompute << " of the rows played again";
      env_.remove("spilled").ignore("the next one makes its own");
    }
  }
}

TEST_P(Learning, CoarserSlotsAndProductsStayNear) {
  Rig exact(env_, path_, {});
  const Text text(exact.network_->spec().vocabulary);
  const auto held = exact.gradient(text);
  EXPECT_LT(nmse(Rig(env_, path_, {.codec = "bf16"}).gradient(text), held), 1e-4);
  EXPECT_LT(nmse(Rig(env_, path_, {.precision = Precision::bf16, .codec = "bf16"}).gradient(text), held),
            2e-3);
  EXPECT_LT(nmse(Rig(env_, path_, {.head_rows = 7, .head_columns = 20}).gradient(text), held), 1e-10);
}

TEST_P(Learning, ThePlanIsWhatIsBooked) {
  for (KeepMode mode : {KeepMode::hold, KeepMode::recompute, KeepMode::spill}) {
    Rig rig(env_, path_, {.mode = mode, .codec = "bf16"});
    const NetworkBytes bytes = rig.network_->bytes(rig.plan_).value();
    EXPECT_EQ(rig.booked_, bytes.kept + bytes.working);
    EXPECT_EQ(bytes.spilled > 0, mode == KeepMode::spill);
    env_.remove("spilled").ignore("the next one makes its own");
  }
  Rig all(env_, path_, {}), half(env_, path_, {.recompute = 0.5f}), none(env_, path_, {.recompute = 1});
  EXPECT_LT(half.booked_, all.booked_);
  EXPECT_EQ(all.booked_ - half.booked_, half.booked_ - none.booked_) << "24 rows: 12 of each slot";
}

TEST_P(Learning, LowRankSumsLearnOverAFrozenModel) {
  Rig rig(env_, path_, {.low_rank = true});
  const Text text(rig.network_->spec().vocabulary);
  std::vector<float> nll(text.tokens.size());
  const std::vector<double> before = [&] {
    EXPECT_TRUE(rig.network_->evaluate(text.lines(), nll).ok());
    return std::vector<double>{text.loss(nll), reference_loss(env_, path_, text)};
  }();
  EXPECT_NEAR(before[0], before[1], 1e-5);  // b is zero: the model as it was
  for (size_t i = 0; i < rig.parts_.size(); ++i) {
    for (size_t j = 0; j < rig.parts_[i].value.size(); ++j) {
      rig.parts_[i].value[j] = float(0.2 * random_normal({3, i, Site::test}, j));
    }
  }
  const auto gradient = rig.gradient(text, &nll);
  // A difference in floats, over which ReLU may bend.
  const float reach = rig.network_->spec().activation == Activation::relu ? 4e-3f : 1e-2f;
  for (size_t i = 0; i < rig.parts_.size(); ++i) {
    Part& part = rig.parts_[i];
    for (int64_t at : {part.size() / 3, part.size() - 2}) {
      float& value = part.value[size_t(at)];
      const float keep = value;
      auto loss = [&] {
        EXPECT_TRUE(rig.network_->evaluate(text.lines(), nll).ok());
        return text.loss(nll);
      };
      value = keep + reach;
      const double above = loss(), high = double(value);
      value = keep - reach;
      const double slope = (above - loss()) / (high - double(value));
      value = keep;
      EXPECT_NEAR(double(gradient[size_t(rig.parts_.offset(part) + at)]), slope, 3e-4) << part.role;
    }
  }
  // The sum is the model whose weights are changed alike.
  ASSERT_TRUE(rig.network_->evaluate(text.lines(), nll).ok());
  for (size_t i = 0; i < rig.parts_.size(); i += 2) {
    const Part &a = rig.parts_[i], &b = rig.parts_[i + 1];
    float* values = tensor(a.role.substr(0, a.role.size() - 7));
    for (int32_t y = 0; y < b.rows; ++y) {
      for (int32_t x = 0; x < a.cols; ++x) {
        for (int32_t r = 0; r < 4; ++r) {
          values[y * a.cols + x] += 0.5f * b.value[size_t(y * 4 + r)] * a.value[size_t(r * a.cols + x)];
        }
      }
    }
  }
  EXPECT_NEAR(text.loss(nll), reference_loss(env_, path_, text), 1e-5);
}

const Case kCases[] = {
    {"llama", {.architecture = "llama"}},
    {"llama_tied", {.architecture = "llama", .tied = true}},
    {"llama_window",
     {.architecture = "llama", .more = {{"attention.sliding_window", reference::count_value(6)}}}},
    {"llama_relu", {.architecture = "llama", .more = {{"hidden_activation", reference::text_value("relu")}}}},
    {"qwen2", {.architecture = "qwen2", .biases = true}},
    {"qwen3", {.architecture = "qwen3", .key_dim = 12, .value_dim = 12}},
};
INSTANTIATE_TEST_SUITE_P(Families, Learning, testing::ValuesIn(kCases),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(WhatCannotLearnYet, IsSaid) {
  MemoryEnv env;
  ASSERT_TRUE(reference::write_random_model({.architecture = "gemma2"}, 7, env, "m").ok());
  const Gguf gguf = Gguf::parse(env.map("m").value()->bytes()).value();
  Parts parts;
  FullSource source(false, parts);
  const auto made = Network::make(read_decoder_spec(gguf).value(), source);
  EXPECT_EQ(made.code(), Code::unsupported);
}

}  // namespace
}  // namespace varve
