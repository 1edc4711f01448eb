// A ReLU model of which only the neurons that fire are read: the same logits to the bit, whatever stays, and
// a file of neurons that is stale, damaged or cut is never believed.
#include "core/io/fault_env.h"
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"
#include "tests/reference/random_model.h"
#include "tests/support/run_model.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

reference::RandomModel shape_of(const std::string& family) {
  reference::RandomModel shape{.architecture = family, .layers = 3, .hidden = 700};
  shape.biases = family == "nemotron";
  if (family == "llama") shape.more["hidden_activation"] = reference::text_value("relu");
  return shape;
}

class NeuronsOf : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(reference::write_random_model(shape_, 5, posix_env(), path_).ok());
    whole_ = ModelRun(path_, 2).logits(tokens_, 1);
  }
  Status write() {
    Ledger ledger(int64_t(8) << 20);
    return write_neurons(posix_env(), path_, ledger);
  }
  void damage(const std::string& path, int64_t at) {
    const auto file = posix_env().open(path, Open::write).value();
    std::byte one;
    ASSERT_TRUE(file->read(at, {&one, 1}).ok());
    one ^= std::byte(4);
    ASSERT_TRUE(file->write(at, {&one, 1}).ok());
  }

  TempFolder folder_;
  const std::string path_ = folder_ / "m.gguf", beside_ = path_ + ".neurons";
  const reference::RandomModel shape_ = shape_of(GetParam());
  const Tokens tokens_ = golden_tokens(18, shape_.vocabulary);
  Logits whole_;
};

TEST_P(NeuronsOf, SayTheSameAndOnlyThoseThatFireAreRead) {
  const Status written = write();
  ASSERT_TRUE(written.ok()) << written.text();
  ModelRun run(path_, 2, posix_env(), open_planned_model);
  Streaming& streaming = *run.model().weights().streaming();
  EXPECT_EQ(run.logits(tokens_, 1), whole_) << "with the least of them in memory";
  const StreamCounts first = streaming.counts();
  EXPECT_EQ(first.neurons, int64_t(tokens_.size()) * shape_.layers * shape_.hidden);
  EXPECT_GT(first.fired, first.neurons / 4);
  EXPECT_LT(first.fired, first.neurons * 3 / 4);
  const StreamPlan plan = streaming.plan();
  EXPECT_EQ(plan.neuron_bytes,
            int64_t(shape_.layers) * shape_.hidden * shape_.width * 4 * (GetParam() == "llama" ? 2 : 1));
  streaming.keep(plan.pass_bytes + shape_.layers * shape_.hidden * plan.neuron_row + (1 << 20));
  for (int round = 0; round < 2; ++round) EXPECT_EQ(run.logits(tokens_, 1), whole_);
  const StreamCounts warm = streaming.counts();
  EXPECT_EQ(run.logits(tokens_, 1), whole_);
  EXPECT_EQ(streaming.counts().neuron_read_bytes, warm.neuron_read_bytes) << "all that ever fire are there";
  EXPECT_EQ(streaming.counts().fired_there - warm.fired_there, streaming.counts().fired - warm.fired);
  streaming.keep(0);
  EXPECT_LT(streaming.counts().resident_bytes, warm.resident_bytes);
  EXPECT_EQ(run.logits(tokens_, 3), whole_) << "several rows share what fires";
  EXPECT_EQ(run.logits(tokens_, 0), whole_) << "many rows pass the whole weights";
}

TEST_P(NeuronsOf, AnotherModelsFileIsNotBelievedAndADamagedOneIsNamed) {
  ASSERT_TRUE(write().ok());
  ASSERT_TRUE(reference::write_random_model(shape_, 6, posix_env(), path_).ok());
  {
    ModelRun run(path_, 2, posix_env(), open_planned_model);
    const std::string word = run.model().weights().streaming()->plan().neuron_word;
    EXPECT_NE(word.find("was made of another model: 'varve neurons' writes it anew"), word.npos) << word;
    EXPECT_EQ(run.model().weights().neurons(), nullptr);
    EXPECT_EQ(run.logits(tokens_, 1), ModelRun(path_, 2).logits(tokens_, 1)) << "the weights themselves";
  }
  ASSERT_TRUE(write().ok());
  const int64_t size = posix_env().open(beside_, Open::read).value()->size().value();
  damage(beside_, size - kDirectBytes + 8);  // a checksum
  {
    ModelRun run(path_, 2, posix_env(), open_planned_model);
    const std::string word = run.model().weights().streaming()->plan().neuron_word;
    EXPECT_NE(word.find("is damaged, or was not finished"), word.npos) << word;
  }
  ASSERT_TRUE(write().ok());
  const auto opened = [&](Ledger& ledger) { return open_planned_model(posix_env(), path_, ledger).value(); };
  Ledger ledger(int64_t(256) << 20);
  const auto model = opened(ledger);
  const Neurons& neurons = *model->weights().neurons();
  for (int32_t i = 0; i < shape_.hidden; ++i) damage(beside_, 2 * kDirectBytes + i * kDirectBytes);
  const int32_t all[] = {5, 6, 30};
  const Status refused = std::move(neurons.take(0, all)).status();
  EXPECT_EQ(refused.code(), Code::corrupt);
  EXPECT_NE(refused.message().find("is damaged at"), refused.message().npos) << refused.message();
  ASSERT_TRUE(posix_env().open(beside_, Open::write).value()->truncate(3 * kDirectBytes).ok());
  const Status cut = std::move(neurons.take(1, all)).status();
  EXPECT_EQ(cut.code(), Code::corrupt);
  EXPECT_NE(cut.message().find("cut short while"), cut.message().npos) << cut.message();
}

TEST_P(NeuronsOf, ABudgetThatLeavesNoRoomForThemIsToldSoAndDoesWithout) {
  ASSERT_TRUE(write().ok());
  Ledger ledger(int64_t(12) << 20);
  const auto model = open_planned_model(posix_env(), path_, ledger).value();
  EXPECT_EQ(model->weights().neurons(), nullptr);
  const std::string word = model->weights().streaming()->plan().neuron_word;
  EXPECT_NE(word.find("MiB at least, and the budget leaves"), word.npos) << word;
}

TEST_P(NeuronsOf, ReadsThatFailFailTheirPassAndLaterOnesTryAgain) {
  ASSERT_TRUE(write().ok());
  FaultPlan plan;
  FaultEnv env(posix_env(), plan, true);
  Ledger ledger(int64_t(256) << 20);
  const auto model = open_planned_model(env, path_, ledger).value();
  const Neurons& neurons = *model->weights().neurons();
  std::vector<int32_t> some;
  for (int32_t i = 0; i < 200; ++i) some.push_back(3 * i);
  for (const Fault fault : {Fault::io_error, Fault::short_read}) {
    plan.fail_at(1, fault, true);
    const Status failed = std::move(neurons.take(1, some)).status();
    EXPECT_EQ(failed.code(), fault == Fault::io_error ? Code::io : Code::corrupt) << failed.text();
    plan.heal();
    EXPECT_EQ(neurons.take(1, some).value().at.size(), some.size());
    for (int32_t table : {2, 0, 2}) EXPECT_TRUE(neurons.take(table, some).ok());  // for which some of 1 leave
  }
}

TEST_P(NeuronsOf, WritingGoesOnWhereItWasCutOff) {
  ASSERT_TRUE(write().ok());
  const auto right = read_file(posix_env(), beside_, 1 << 26).value();
  ASSERT_TRUE(posix_env().remove(beside_).ok());
  int calls = 0;
  for (int64_t at = 4; at < 400; at += 40) {
    FaultPlan plan;
    FaultEnv env(posix_env(), plan, true);
    plan.fail_at(at, Fault::io_error, true);
    Ledger ledger(int64_t(8) << 20);
    const Status status = write_neurons(env, path_, ledger, [&](int64_t, int64_t) { ++calls; });
    if (status.ok()) break;
    EXPECT_FALSE(posix_env().exists(beside_).value()) << "whole or not at all";
  }
  EXPECT_GT(calls, 0);
  ASSERT_TRUE(write().ok());
  EXPECT_EQ(read_file(posix_env(), beside_, 1 << 26).value(), right);
}

INSTANTIATE_TEST_SUITE_P(Families, NeuronsOf, testing::Values("llama", "nemotron", "arcee"));

TEST(Neurons, AModelThatIsNotOfTheReluFamilyIsRefusedAndAnUnknownActivationNamed) {
  TempFolder folder;
  Ledger ledger(int64_t(8) << 20);
  reference::RandomModel shape{.architecture = "llama"};
  ASSERT_TRUE(reference::write_random_model(shape, 5, posix_env(), folder / "m.gguf").ok());
  const Status refused = write_neurons(posix_env(), folder / "m.gguf", ledger);
  EXPECT_EQ(refused.code(), Code::unsupported);
  EXPECT_NE(refused.message().find("ReLU family"), refused.message().npos) << refused.message();
  shape.more["hidden_activation"] = reference::text_value("swish9");
  ASSERT_TRUE(reference::write_random_model(shape, 5, posix_env(), folder / "m.gguf").ok());
  const Status unknown = std::move(open_model(posix_env(), folder / "m.gguf", ledger)).status();
  EXPECT_NE(unknown.message().find("llama.hidden_activation 'swish9'"), unknown.message().npos);
}

}  // namespace
}  // namespace varve
