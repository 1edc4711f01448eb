// Neurons that are chosen: computed alone, from the weights or from a file of whole neurons, they give the
// bits of a model in which the others add nothing; and what chooses them is shown what it should be.
#include "run/model/choose/chooser.h"
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"
#include "tests/reference/random_model.h"
#include "tests/support/run_model.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr int32_t kPrompt = 20;

ModelRun::Open* opened_for(NeuronUse use) {
  if (use == NeuronUse::foreseen)
    return [](Env& env, const std::string& path, Ledger& ledger) {
      return open_planned_model(env, path, ledger, NeuronUse::foreseen);
    };
  return [](Env& env, const std::string& path, Ledger& ledger) {
    return open_planned_model(env, path, ledger, NeuronUse::chosen);
  };
}

// Every third, or what it is told, and of another number in each layer.
class Fixed : public NeuronChoice {
 public:
  explicit Fixed(int32_t neurons, int32_t of = 3) : neurons_(neurons), of_(of) {}
  void see(Ops&, int32_t layer, Rows values) override {
    seen_.resize(std::max(seen_.size(), size_t(layer) + 1));
    seen_[size_t(layer)] += values.count();
    EXPECT_EQ(values.width(), neurons_);
  }
  std::vector<int32_t> choose(const Choosing& at) override { return of_layer(at.layer); }
  std::vector<int32_t> of_layer(int32_t layer) const {
    std::vector<int32_t> some;
    for (int32_t i = layer % of_; i < neurons_; i += of_) some.push_back(i);
    return some;
  }
  std::vector<int32_t> seen_;

 private:
  const int32_t neurons_, of_;
};

reference::RandomModel shape_of(const std::string& name) {
  const bool relu = name == "llama_relu";
  reference::RandomModel shape{
      .architecture = relu ? "llama" : name, .layers = 3, .width = 64, .hidden = 700};
  shape.biases = name == "nemotron";
  if (relu) shape.more["hidden_activation"] = reference::text_value("relu");
  return shape;
}

class ChosenNeurons : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(reference::write_random_model(shape_, 5, posix_env(), path_).ok());
    whole_ = ModelRun(path_, 2).logits(tokens_, 1);
  }
  // The model with columns of ffn_down that are not chosen at zero.
  void silence(const Fixed& choice) {
    const auto bytes = read_file(posix_env(), path_, 1 << 28).value();
    const Gguf gguf = Gguf::parse(bytes).value();
    const auto file = posix_env().open(silent_, Open::create).value();
    ASSERT_TRUE(file->write(0, bytes).ok());
    for (int32_t layer = 0; layer < shape_.layers; ++layer) {
      const GgufTensor* down = gguf.tensor("blk." + std::to_string(layer) + ".ffn_down.weight");
      const auto kept = choice.of_layer(layer);
      for (int32_t row = 0; row < shape_.width; ++row) {
        std::vector<float> values(size_t(shape_.hidden));
        const int64_t at = down->offset + int64_t(row) * shape_.hidden * 4;
        ASSERT_TRUE(file->read(at, std::as_writable_bytes(std::span(values))).ok());
        for (int32_t i = 0; i < shape_.hidden; ++i)
          if (!std::binary_search(kept.begin(), kept.end(), i)) values[size_t(i)] = 0;
        ASSERT_TRUE(file->write(at, std::as_bytes(std::span(values))).ok());
      }
    }
  }
  Status write(NeuronWords words) {
    Ledger ledger(int64_t(8) << 20);
    return write_neurons(posix_env(), path_, ledger, {}, words);
  }
  Logits chosen(ModelRun& run, NeuronChoice& choice, int32_t prompt = 0) {
    run.choose({&choice}, prompt);
    return run.logits(tokens_, 1);
  }

  TempFolder folder_;
  const std::string path_ = folder_ / "m.gguf", silent_ = folder_ / "silent.gguf";
  const reference::RandomModel shape_ = shape_of(GetParam());
  const Tokens tokens_ = golden_tokens(26, shape_.vocabulary);
  Logits whole_;
};

TEST_P(ChosenNeurons, GiveTheBitsOfAModelWhoseOthersAddNothing) {
  Fixed choice(shape_.hidden), all(shape_.hidden, 1);
  silence(choice);
  const Logits silent = ModelRun(silent_, 2).logits(tokens_, 1);
  EXPECT_NE(silent, whole_);
  {
    ModelRun run(path_, 2);
    EXPECT_EQ(run.model().shape().neurons, shape_.hidden);
    EXPECT_EQ(chosen(run, choice), silent) << "rows of weights in memory";
    EXPECT_EQ(chosen(run, all), whole_);
  }
  {
    ModelRun run(path_, 2, posix_env(), opened_for(NeuronUse::chosen));
    EXPECT_EQ(chosen(run, choice), silent) << "rows of weights that stream";
  }
  const Status written = write({.whole = true});
  ASSERT_TRUE(written.ok()) << written.text();
  ModelRun run(path_, 2, posix_env(), opened_for(NeuronUse::chosen));
  Streaming& streaming = *run.model().weights().streaming();
  EXPECT_EQ(chosen(run, choice), silent) << "whole neurons";
  const StreamCounts counts = streaming.counts();
  int64_t some = 0;
  for (int32_t layer = 0; layer < shape_.layers; ++layer) some += int64_t(choice.of_layer(layer).size());
  EXPECT_EQ(counts.fired, some * int64_t(tokens_.size()));
  EXPECT_EQ(counts.neurons, int64_t(shape_.layers) * shape_.hidden * int64_t(tokens_.size()));
  EXPECT_EQ(chosen(run, all), whole_);
  const StreamPlan plan = streaming.plan();
  streaming.keep(plan.pass_bytes + plan.neuron_count * plan.neuron_row + (1 << 20));
  for (int round = 0; round < 2; ++round) EXPECT_EQ(chosen(run, choice), silent);
  const int64_t read = streaming.counts().neuron_read_bytes;
  EXPECT_EQ(chosen(run, choice), silent);
  EXPECT_EQ(streaming.counts().neuron_read_bytes, read) << "the window holds what was used";
}

TEST_P(ChosenNeurons, OfAPromptAreAllAndAreSeen) {
  Fixed choice(shape_.hidden);
  ModelRun run(path_, 2);
  const Logits logits = chosen(run, choice, kPrompt);
  const auto prompt = size_t(kPrompt) * size_t(shape_.vocabulary);
  const Logits read(logits.begin(), logits.begin() + ptrdiff_t(prompt));
  EXPECT_EQ(read, Logits(whole_.begin(), whole_.begin() + ptrdiff_t(prompt)));
  EXPECT_NE(logits, whole_);
  EXPECT_EQ(choice.seen_, std::vector<int32_t>(size_t(shape_.layers), kPrompt));
}

TEST_P(ChosenNeurons, OfSequencesBesideEachOtherAreEachItsOwn) {
  const std::vector<Tokens> both = {tokens_, golden_tokens(26, shape_.vocabulary, 77)};
  Fixed third(shape_.hidden), fifth(shape_.hidden, 5);
  ModelRun run(path_, 2);
  run.choose({&third, &fifth}, 0);
  const auto together = run.logits(both, 1);
  run.choose({&third}, 0);
  EXPECT_EQ(run.logits(both[0], 1), together[0]);
  run.choose({&fifth}, 0);
  EXPECT_EQ(run.logits(both[1], 1), together[1]);
  run.choose({nullptr, &fifth}, 0);
  EXPECT_EQ(run.logits(both, 1)[0], whole_) << "who chooses nothing has all";
}

TEST_P(ChosenNeurons, ByCoreInferAreFixedByThePromptAndAllOfThemAreTheWholeModel) {
  Ledger ledger(int64_t(64) << 20);
  const NeuronShape shape{shape_.layers, shape_.hidden};
  ASSERT_TRUE(write({.whole = true}).ok());
  const auto begin = [&](const char* spec) {
    return neuron_choosers().make(spec).value()->begin(shape, ledger).value();
  };
  ModelRun weights(path_, 2), file(path_, 2, posix_env(), opened_for(NeuronUse::chosen));
  const auto one = begin("coreinfer:share=.3"), two = begin("coreinfer:share=.3"),
             all = begin("coreinfer:share=1");
  const Logits some = chosen(weights, *one, kPrompt);
  EXPECT_NE(some, whole_);
  EXPECT_EQ(one->known(1).size(), size_t(shape_.hidden * 3 / 10));
  EXPECT_EQ(chosen(file, *two, kPrompt), some);
  EXPECT_EQ(chosen(weights, *all, kPrompt), whole_);
  const auto few = begin("coreinfer:share=.3,least=21"), later = begin("coreinfer:share=.3,least=100");
  const Logits first = chosen(weights, *few, kPrompt);
  const auto until = ptrdiff_t(kPrompt + 1) * shape_.vocabulary;
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + until, whole_.begin())) << "one more token is seen";
  EXPECT_NE(first, whole_);
  EXPECT_EQ(chosen(weights, *later, kPrompt), whole_) << "too few for a choice";
}

INSTANTIATE_TEST_SUITE_P(Families, ChosenNeurons,
                         testing::Values("llama", "llama_relu", "nemotron", "arcee"));

class SketchedNeurons : public ChosenNeurons {};

TEST_P(SketchedNeurons, AreThoseThatMayFireAndASketchThatIsDamagedIsNotBelieved) {
  Ledger ledger(int64_t(64) << 20);
  const Status written = write({.whole = true, .sketch = *codec_named("q4_0")});
  ASSERT_TRUE(written.ok()) << written.text();
  const auto begin = [&](const char* spec) {
    return neuron_choosers().make(spec).value()->begin({shape_.layers, shape_.hidden}, ledger).value();
  };
  {
    ModelRun run(path_, 2, posix_env(), opened_for(NeuronUse::foreseen));
    ASSERT_TRUE(run.model().weights().neurons()->sketch(2).has_value());
    const Streaming& streaming = *run.model().weights().streaming();
    EXPECT_EQ(chosen(run, *begin("sketch:margin=6"), 0), whole_) << "six deviations: nobody is missed";
    const StreamCounts wide = streaming.counts();
    EXPECT_LT(wide.fired, wide.neurons) << "but some are known to be idle";
    EXPECT_GT(wide.fired, wide.neurons / 3);
    EXPECT_LT(nmse(chosen(run, *begin("sketch:margin=0"), 0), whole_), 0.05);
    const StreamCounts narrow = streaming.counts();
    EXPECT_LT(narrow.fired - wide.fired, wide.fired) << "a smaller margin reads less";
  }
  const std::string beside = path_ + ".neurons";
  const auto bytes = read_file(posix_env(), beside, 1 << 28).value();
  const Gguf gguf = Gguf::parse(bytes).value();
  const auto file = posix_env().open(beside, Open::write).value();
  const std::byte wrong = bytes[size_t(gguf.tensor("blk.1.ffn_neurons.sketch")->offset)] ^ std::byte(1);
  ASSERT_TRUE(file->write(gguf.tensor("blk.1.ffn_neurons.sketch")->offset, {&wrong, 1}).ok());
  ModelRun run(path_, 2, posix_env(), opened_for(NeuronUse::foreseen));
  EXPECT_EQ(run.model().weights().neurons(), nullptr);
  const std::string word = run.model().weights().streaming()->plan().neuron_word;
  EXPECT_NE(word.find("is damaged"), word.npos) << word;
}

INSTANTIATE_TEST_SUITE_P(Families, SketchedNeurons, testing::Values("llama_relu", "nemotron", "arcee"));

TEST(WholeNeurons, OfAFamilyThatIsNeverIdleAreLeftAloneUnlessChosen) {
  TempFolder folder;
  const std::string path = folder / "m.gguf";
  ASSERT_TRUE(reference::write_random_model(shape_of("llama"), 5, posix_env(), path).ok());
  Ledger ledger(int64_t(64) << 20);
  const Status refused =
      write_neurons(posix_env(), path, ledger, {}, {.whole = true, .sketch = *codec_named("q4_0")});
  EXPECT_EQ(refused.code(), Code::unsupported);
  ASSERT_TRUE(write_neurons(posix_env(), path, ledger, {}, {.whole = true}).ok());
  ModelRun plain(path, 2, posix_env(), open_planned_model);
  EXPECT_EQ(plain.model().weights().neurons(), nullptr);
  EXPECT_EQ(plain.model().weights().streaming()->plan().neuron_word, "");
  ModelRun chosen(path, 2, posix_env(), opened_for(NeuronUse::chosen));
  EXPECT_NE(chosen.model().weights().neurons(), nullptr);
}

}  // namespace
}  // namespace varve
