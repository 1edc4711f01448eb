// Every reflector with a real trained model behind it, small enough to understand nothing: whatever it writes
// has the right format, and what was said stays as it was said.

#include "memory/reflect/recipe.h"
#include "memory/reflect/reflector/scripted_test.h"
#include "run/model/model.h"
#include "serve/session/writer.h"
#include "tests/support/shared.h"

namespace varve {
namespace {

constexpr const char* kModel = "data/models/tinyllamas/stories260K.gguf";

// The engine at a high temperature: its greedy answers are short and all alike. Counts what is asked, and how
// often the tokens ended before the answer.
struct LooseWriter : Writer {
  LooseWriter(Engine& with, const Prompter& writes) : engine(with), prompter(writes) {}
  Result<std::string> write(std::string_view prompt, std::string_view schema, int max_tokens) override {
    Prompt written = TRY(prompter.write(Json::array().push(message("user", prompt)), {}, Json::object(), 0));
    Request request;
    request.tokens = std::move(written.tokens);
    request.max_tokens = std::min(max_tokens, most);
    request.sampling.temperature = 1.2f;
    request.sampling.top_k = 0;
    request.sampling.top_p = 1;
    request.sampling.min_p = 0;
    request.sampling.seed = uint64_t(++asked);
    request.grammar = TRY(grammar_from_json_schema(TRY(parse_json(schema)), *engine.model().tokenizer()));
    Interrupt none;
    Generation made = TRY(generate(engine, std::move(request), std::move(written.stop), nullptr, none));
    cut += made.finish == Finish::length;
    return std::move(made.text);
  }
  Engine& engine;
  const Prompter& prompter;
  int asked = 0, cut = 0, most = 1 << 20;
};

class WithAModel : public Reflected, public testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override { Reflected::SetUp(); }
  // A context far beyond what it was trained for: more nonsense, and room for every prompt. Its file says so.
  void start(int32_t context) {
    auto bytes = read_file(posix_env(), shared_path(kModel), 4 << 20);
    ASSERT_TRUE(bytes.ok());
    constexpr std::string_view key = "context_length";
    const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    std::memcpy(bytes->data() + text.find(key) + key.size() + 4, &context, sizeof(context));
    const std::string path = folder / ("context-" + std::to_string(context) + ".gguf");
    ASSERT_TRUE(write_file(posix_env(), path, *bytes).ok());
    auto model = open_model(posix_env(), path, ledger);
    ASSERT_TRUE(model.ok()) << std::move(model).status().text();
    model_ = std::move(model).value();
    prompter_ = std::make_unique<Prompter>(*model_);
    auto engine = start_engine(model_, ledger, {.threads = 1});
    ASSERT_TRUE(engine.ok()) << std::move(engine).status().text();
    engine_ = std::move(engine).value();
    writer_ = std::make_unique<EngineWriter>(*engine_, *prompter_, "alice", clock, interrupt_);
  }
  void talk() {
    turns_.push_back(say("I am allergic to peanuts and I live in Lyon.", "Noted.", "2023-05-08"));
    turns_.push_back(say("- [ ] buy clay for pottery\n- [ ] book the kiln", "Good.", "2023-05-09"));
    for (int i = 0; i < 6; ++i)
      turns_.push_back(
          say("The pottery classes in Lyon were \"great\", said Zo\xC3\xAB. No. " + std::to_string(i),
              "Which glaze do you take?", "2023-05-11"));
  }
  std::vector<std::string> evidence() {
    std::vector<std::string> all;
    for (const CubeHeader& h : everything()) {
      if (is_evidence(h.kind))
        all.push_back(h.id.text() + " v" + std::to_string(h.version) + " " + *store->payload(alice, h.id));
    }
    return all;
  }
  void expect_sound(const std::vector<std::string>& said) {
    EXPECT_EQ(evidence(), said);
    EXPECT_TRUE(store->check()->empty());
    for (const CubeHeader& h : everything()) {
      EXPECT_TRUE(is_evidence(h.kind) || h.trust != Trust::user) << h.kind;
    }
  }

  std::shared_ptr<const Model> model_;
  std::unique_ptr<Prompter> prompter_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<EngineWriter> writer_;
  Interrupt interrupt_;
  std::vector<Turn> turns_;
};

TEST_P(WithAModel, EveryAnswerHasTheFormat) {
  NEED_SHARED(kModel);
  start(8192);
  talk();
  const auto said = evidence();
  const auto all = make_reflectors(GetParam());
  ASSERT_TRUE(all.ok());
  LooseWriter loose(*engine_, *prompter_), brief(*engine_, *prompter_);
  brief.most = 24;  // the answer ends in its middle
  for (Writer* writer : std::initializer_list<Writer*>{&loose, &brief, writer_.get()}) {
    for (const auto& reflector : *all) {
      for (const Turn& turn : turns_) {
        auto done = run(*reflector, turn, writer);
        EXPECT_TRUE(done.ok()) << std::move(done).status().text();
      }
      ASSERT_TRUE(drop_derived({alice, *store, *recall}, *reflector, "alice").ok());
    }
  }
  EXPECT_EQ(loose.asked > 0, GetParam() != "verbatim");
  EXPECT_EQ(brief.cut > 0, GetParam() != "verbatim");
  RecordProperty("asked", loose.asked + brief.asked);
  RecordProperty("cut", loose.cut + brief.cut);
  expect_sound(said);
}

// Its own context has room for few of the prompts.
TEST_P(WithAModel, WhatDoesNotFitChangesNothing) {
  NEED_SHARED(kModel);
  start(512);
  talk();
  const auto said = evidence();
  const auto all = make_reflectors(GetParam());
  for (const auto& reflector : *all) {
    for (const Turn& turn : turns_) {
      auto done = run(*reflector, turn, writer_.get());
      if (done.ok()) continue;
      EXPECT_NE(std::move(done).status().text().find("context"), std::string::npos);
    }
  }
  expect_sound(said);
}

TEST_P(WithAModel, OneThatIsInterruptedIsAskedAgain) {
  NEED_SHARED(kModel);
  start(8192);
  talk();
  const auto said = evidence();
  const auto all = make_reflectors(GetParam());
  for (const auto& reflector : *all) {
    interrupt_.raise();
    const auto done = run(*reflector, turns_[0], writer_.get());
    EXPECT_TRUE(done.ok() || done.code() == Code::cancelled);
    interrupt_.clear();
    const auto again = run(*reflector, turns_[0], writer_.get());
    EXPECT_TRUE(again.ok());
  }
  expect_sound(said);
}

std::vector<std::string> specs() {
  std::vector<std::string> all = reflectors().names();
  for (const MemoryRecipe& recipe : memory_recipes()) all.emplace_back(recipe.reflectors);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

INSTANTIATE_TEST_SUITE_P(Reflectors, WithAModel, testing::ValuesIn(specs()), [](const auto& one) {
  std::string name = one.param;
  for (char& c : name) c = std::isalnum(uint8_t(c)) ? c : '_';
  return name;
});

}  // namespace
}  // namespace varve
