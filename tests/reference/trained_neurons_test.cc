// A small ReLU model that has learnt: neurons are idle of themselves, and reading only those that fire gives
// the bits of the whole model.
#include "learn/tune/lesson.h"
#include "learn/tune/model_file.h"
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"
#include "tests/support/run_model.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr FreshShape kShape{.layers = 2,
                            .width = 64,
                            .hidden = 256,
                            .heads = 4,
                            .kv_heads = 2,
                            .vocabulary = 32,
                            .context = 64,
                            .activation = Activation::relu};

// Letters of a text, 26 for a space, 27 for the rest.
std::vector<int32_t> letters() {
  const std::string text =
      "the weaver sets her loom beside the window and the shuttle runs from noon until the lamp is lit. what "
      "she has woven in a week her brother carries over the hill, and what he brings for it is wool and "
      "salt. in spring the road is mud, and then the cloth lies folded in the loft until the wind has dried "
      "the way. ";
  std::vector<int32_t> all;
  for (int i = 0; i < 8; ++i) {
    for (char c : text) all.push_back(c >= 'a' && c <= 'z' ? c - 'a' : c == ' ' ? 26 : 27);
  }
  return all;
}

// Its loss before and after; the file is written.
std::pair<double, double> train(const std::string& path) {
  const std::vector<int32_t> tokens = letters();
  const TokenWindows batches(tokens, {.length = 64, .sequences = 4});
  Ledger ledger(int64_t(64) << 20);
  ThreadPool pool(2);
  Parts parts;
  FullSource source(true, parts);
  const auto network = Network::make(*fresh_spec(kShape), source).value();
  EXPECT_TRUE(parts.allocate(ledger).ok());
  draw_values(parts, kShape.layers, 1);
  LessonPlan plan;
  plan.rate = 0.01f, plan.steps = 80, plan.warmup = 8;
  const auto lesson = Lesson::make(*network, parts, plan, 256, pool, ledger).value();
  const double before = lesson->evaluate(batches, 1).value();
  for (int64_t step = 0; step < plan.steps; ++step) EXPECT_TRUE(lesson->step(batches).ok());
  const double after = lesson->evaluate(batches, 1).value();
  GgufWriter writer;
  const Status written = write_model(kShape, parts, **codec_named("bf16"), writer, posix_env(), path, ledger);
  EXPECT_TRUE(written.ok()) << written.text();
  return {before, after};
}

class TrainedNeurons : public ::testing::Test {
 protected:
  void SetUp() override {
    losses_ = train(path_);
    const std::vector<int32_t> text = letters();
    tokens_.assign(text.begin(), text.begin() + 60);
  }
  TempFolder folder_;
  const std::string path_ = folder_ / "m.gguf";
  std::pair<double, double> losses_;
  Tokens tokens_;
};

TEST_F(TrainedNeurons, AreIdleOfThemselvesAndTheOthersGiveTheBitsOfAll) {
  EXPECT_LT(losses_.second, 0.5 * losses_.first) << "it has learnt";
  Ledger ledger(int64_t(64) << 20);
  const Status written = write_neurons(posix_env(), path_, ledger);
  ASSERT_TRUE(written.ok()) << written.text();
  const Logits whole = ModelRun(path_, 2).logits(tokens_, 1);
  ModelRun run(path_, 2, posix_env(), open_planned_model);
  EXPECT_EQ(run.logits(tokens_, 1), whole);
  const StreamCounts counts = run.model().weights().streaming()->counts();
  EXPECT_GT(counts.fired, 0);
  EXPECT_LT(counts.fired, counts.neurons / 2) << "training leaves more idle than drawing does";
  RecordProperty("fired", std::to_string(double(counts.fired) / double(counts.neurons)));
  size_t right = 0;
  for (size_t i = 0; i + 1 < tokens_.size(); ++i) {
    const auto row = std::span(whole).subspan(i * size_t(kShape.vocabulary), size_t(kShape.vocabulary));
    right += std::max_element(row.begin(), row.end()) - row.begin() == tokens_[i + 1];
  }
  EXPECT_GT(right, tokens_.size() / 2) << "what was learnt is what the file says";
}

}  // namespace
}  // namespace varve
