// Forms over a whole model: their gradients against differences of the slow transformer's losses, by way of
// what they write down; lessons that stop and go on; and adapters that, attached, are what was learnt.
#include <gtest/gtest.h>

#include <cmath>

#include "learn/form/form.h"
#include "learn/tune/lesson.h"
#include "memory/parametric/stored_adapter.h"
#include "run/model/arch/family.h"
#include "tests/reference/random_model.h"
#include "tests/reference/reference_model.h"
#include "tests/support/memory_env.h"
#include "tests/support/run_model.h"

namespace varve {
namespace {

class Text : public Batches {  // one document of twenty tokens, another every step
 public:
  explicit Text(int32_t vocabulary) : tokens_(golden_tokens(200, vocabulary)) {}
  int32_t rows() const override { return 20; }
  int64_t count() const override { return 9; }
  Status fill(int64_t step, int32_t, TextBatch& out) const override {
    out.clear();
    out.starts = {0};
    for (int64_t i = step % 9 * 20; i < step % 9 * 20 + 20; ++i) {
      out.tokens.push_back(tokens_[size_t(i)]);
      out.targets.push_back(tokens_[size_t(i) + 1]);
      out.weights.push_back(1);
    }
    return {};
  }

 private:
  Tokens tokens_;
};

// The model file with its matrices in 8 bits.
void quantise(Env& env, const std::string& from, const std::string& to) {
  const auto mapping = env.map(from).value();
  const Gguf gguf = Gguf::parse(mapping->bytes()).value();
  const Codec& codec = **codec_named("q8_0");
  GgufWriter writer;
  for (const auto& [key, value] : gguf.metadata()) writer.set(key, value);
  std::vector<std::vector<std::byte>> encoded(gguf.tensors().size());
  for (size_t i = 0; i < encoded.size(); ++i) {
    const GgufTensor& tensor = gguf.tensors()[i];
    const auto bytes = mapping->bytes().subspan(size_t(tensor.offset), size_t(tensor.bytes));
    const bool matrix = tensor.shape.size() == 2 && tensor.name.starts_with("blk.");
    if (matrix) {
      encoded[i].resize(size_t(codec.bytes_for(tensor.elements())));
      codec.encode({reinterpret_cast<const float*>(bytes.data()), bytes.size() / 4}, encoded[i]);
    }
    writer.add(tensor.name, matrix ? *codec.gguf_type() : 0, tensor.shape,
               matrix ? std::span<const std::byte>(encoded[i]) : bytes);
  }
  const Status written = writer.write(env, to);
  EXPECT_TRUE(written.ok()) << written.text();
}

struct Class {
  Class(Env& env, const std::string& path, const std::string& spec, LessonPlan plan = {}) : text(61) {
    gguf = Gguf::parse(env.map(path).value()->bytes()).value();
    store = std::move(open_resident_weights(env, path, gguf, ledger)).value();
    source = std::make_unique<AdapterSource>(
        *store, std::move(forms().make(spec)).value(),
        std::vector<std::string>{"blk.*.attn_q", "blk.0.attn_output", "blk.1.ffn_down"}, parts);
    network = std::move(Network::make(read_decoder_spec(gguf).value(), *source)).value();
    plan.rate = 0.02f, plan.warmup = 0, plan.steps = 20, plan.decay = 0, plan.slots = "f32";
    plan.precision = TrainOps::Precision::exact;
    const int64_t before = ledger.used();
    EXPECT_TRUE(parts.allocate(ledger).ok());
    lesson = std::move(Lesson::make(*network, parts, plan, 20, pool, ledger)).value();
    EXPECT_EQ(Lesson::bytes(*network, parts, plan, 20)->total(), ledger.used() - before);
    EXPECT_TRUE(source->form()
                    .begin({source->weights(), parts, *store, lesson->train(), ledger, 5,
                            [&](const Beginning::Visit& visit) { return lesson->gradients(text, visit); }})
                    .ok());
    const Status set = lesson->regularise([&](const WeightForm::Gradient& gradient) {
      source->form().regularise(source->weights(), parts, gradient);
    });
    EXPECT_TRUE(set.ok());
  }
  void run(int64_t until) {
    while (lesson->done() < until) ASSERT_TRUE(lesson->step(text).ok());
  }
  std::vector<float> values() const { return {parts.all().begin(), parts.all().end()}; }
  AdapterFile file(const Hash256* fingerprint = nullptr) {
    learnt = {};
    EXPECT_TRUE(source->form().finish(source->weights(), parts, ledger, learnt).ok());
    AdapterFile made;
    made.note = {.kind = learnt.kind, .alpha = learnt.alpha};
    if (fingerprint != nullptr) made.note.fingerprint = *fingerprint;
    for (const auto& one : learnt.tensors) {
      made.tensors.push_back({one.role, one.name, one.rows, one.cols, one.values});
    }
    return made;
  }
  double loss() {
    TextBatch batch;
    EXPECT_TRUE(text.fill(0, 0, batch).ok());
    std::vector<float> nll(20);
    EXPECT_TRUE(network->evaluate({batch.tokens, batch.targets, batch.weights, batch.starts}, nll).ok());
    double sum = 0;
    for (float value : nll) sum += double(value) / 20;
    return sum;
  }

  Ledger ledger{int64_t(1) << 28};
  ThreadPool pool{1};
  Gguf gguf;
  std::unique_ptr<WeightStore> store;
  Parts parts;
  std::unique_ptr<AdapterSource> source;
  std::unique_ptr<Network> network;
  std::unique_ptr<Lesson> lesson;
  Text text;
  Learnt learnt;
};

class FormOverAModel : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const reference::RandomModel model{
        .architecture = "llama", .width = 64, .hidden = 96, .heads = 8, .vocabulary = 61};
    ASSERT_TRUE(reference::write_random_model(model, 5, env_, "plain").ok());
    quantise(env_, "plain", "base");
  }
  std::string spec() const { return GetParam() == "peqa" ? "peqa" : GetParam() + ":rank=4"; }
  // Loss of the slow transformer, of a model with the adapter merged, in f32.
  double merged_loss(Class& one) {
    std::vector<std::byte> keep = env_.bytes("plain");
    const Gguf gguf = Gguf::parse(keep).value();
    const AdapterFile file = one.file();
    const AdapterDeltas deltas = std::move(deltas_of(file, *one.store)).value();
    for (const WeightEntry& entry : one.store->entries()) {
      const WeightId id = one.store->find(entry.role);
      const GgufTensor* tensor = gguf.tensor(entry.role + ".weight");
      if (tensor == nullptr) continue;
      const WeightPin pin = one.store->pin(id).value();
      auto* values = reinterpret_cast<float*>(env_.bytes("plain").data() + tensor->offset);
      entry.codec->decode((*pin).bytes, {values, size_t(entry.rows) * size_t(entry.cols)});
      for (const auto& [changed, delta] : deltas.of) {
        for (int32_t row = 0; changed == id && row < entry.rows; ++row) {
          delta->merge(row, 1, {values + int64_t(row) * entry.cols, size_t(entry.cols)});
        }
      }
    }
    TextBatch batch;
    EXPECT_TRUE(one.text.fill(0, 0, batch).ok());
    const auto logits = reference::Model(env_, "plain").logits(batch.tokens);
    double sum = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      double total = 0;
      for (double logit : logits[i]) total += std::exp(logit);
      sum += (std::log(total) - logits[i][size_t(batch.targets[i])]) / 20;
    }
    env_.bytes("plain") = keep;
    return sum;
  }
  MemoryEnv env_;
};

TEST_P(FormOverAModel, GradientsAreDifferencesOfTheReferencesLosses) {
  Class one(env_, "base", spec());
  for (size_t i = 0; i < one.parts.size(); ++i) {
    for (size_t j = 0; j < one.parts[i].value.size(); ++j) {
      one.parts[i].value[j] += float(0.05 * random_normal({3, i, Site::test}, j));
    }
  }
  EXPECT_NEAR(one.loss(), merged_loss(one), 1e-4);
  std::vector<std::vector<float>> gradients;
  ASSERT_TRUE(one.lesson
                  ->gradients(one.text,
                              [&](const Part&, std::span<const float> gradient) {
                                gradients.emplace_back(gradient.begin(), gradient.end());
                              })
                  .ok());
  for (size_t i = 0; i < one.parts.size(); ++i) {
    Part& part = one.parts[i];
    // A row's own length counts as constant in dora, as published: only what is no direction is compared.
    if (GetParam() == "dora" && !part.role.ends_with("magnitude")) continue;
    const size_t at = part.value.size() / 2;
    const float keep = part.value[at];
    auto moved = [&](float by) { return part.value[at] = keep + by, merged_loss(one); };
    const double slope = (moved(2e-3f) - moved(-2e-3f)) / (double(keep + 2e-3f) - double(keep - 2e-3f));
    part.value[at] = keep;
    EXPECT_NEAR(double(gradients[i][at]), slope, 2e-5 + 5e-3 * std::abs(slope)) << part.role;
  }
}

TEST_P(FormOverAModel, LearnsAndStoppedAndResumedIsTheSameToTheBit) {
  Class whole(env_, "base", spec());
  const double before = whole.loss();
  whole.run(18);
  EXPECT_LT(whole.loss(), before - 0.01);
  {
    Class first(env_, "base", spec());
    first.run(7);
    ASSERT_TRUE(first.lesson->save(env_, "checkpoint", {}).ok());
  }
  Class second(env_, "base", spec());
  ASSERT_TRUE(second.lesson->load(env_, "checkpoint").ok());
  second.run(18);
  EXPECT_EQ(second.values(), whole.values());
}

TEST_P(FormOverAModel, AttachedItIsWhatWasLearntAndDetachedTheBase) {
  Class one(env_, "base", spec());
  one.run(10);
  ModelRun run("base", 1, env_);
  TextBatch batch;
  ASSERT_TRUE(one.text.fill(0, 0, batch).ok());
  const Logits before = run.logits(batch.tokens);
  const Hash256 fingerprint = run.model().fingerprint();
  const auto adapter = StoredAdapter::make(one.file(&fingerprint), "learnt", run.model()).value();
  run.adapt({adapter.get()});
  const Logits after = run.logits(batch.tokens);
  double sum = 0;
  for (size_t i = 0; i < 20; ++i) {
    const auto row = std::span(after).subspan(i * 61, 61);
    double total = 0;
    for (float logit : row) total += std::exp(double(logit));
    sum += (std::log(total) - double(row[size_t(batch.targets[i])])) / 20;
  }
  EXPECT_NEAR(sum, one.loss(), 1e-3);
  run.adapt({});
  EXPECT_EQ(run.logits(batch.tokens), before);
}

INSTANTIATE_TEST_SUITE_P(Forms, FormOverAModel, testing::ValuesIn(forms().names()),
                         [](const auto& one) { return one.param; });

TEST(Lamda, FreezesItsOutputsTheWeakestFirst) {
  MemoryEnv env;
  ASSERT_TRUE(reference::write_random_model({.architecture = "llama"}, 5, env, "m").ok());
  Class one(env, "m", "lamda:rank=4,freeze=8");
  const Part& output = *one.parts.find("blk.0.attn_q.output");
  std::vector<float> last;
  for (int64_t step = 0; step < 12; ++step) {
    last.assign(output.value.begin(), output.value.end());
    one.run(step + 1);
    for (size_t row = 0; row < 4; ++row) {  // row 3 stops after step 2, row 0 after step 8
      const bool moved = !std::equal(last.begin() + int64_t(row) * output.cols,
                                     last.begin() + int64_t(row + 1) * output.cols,
                                     output.value.begin() + int64_t(row) * output.cols);
      EXPECT_TRUE(step == 0 || moved == (step < int64_t(8 * (4 - row) / 4))) << step << " " << row;
    }
  }
  Ledger ledger(1 << 26);
  ThreadPool pool(1);
  const Status whole =
      Lesson::make(*one.network, one.parts, {.optimizer = "galore"}, 20, pool, ledger).status();
  EXPECT_EQ(whole.code(), Code::invalid);
  EXPECT_NE(whole.message().find("row by row"), std::string_view::npos);
}

}  // namespace
}  // namespace varve
