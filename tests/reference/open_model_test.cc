// Opening a model file: what is wrong is named, nothing crashes, nothing stays booked, and what opens runs.
#include <list>

#include "core/base/rng.h"
#include "tests/reference/random_model.h"
#include "tests/support/memory_env.h"
#include "tests/support/run_model.h"

namespace varve {
namespace {

using reference::count_value;
using reference::RandomModel;
using reference::text_value;

constexpr int64_t kBudget = 64 << 20;

class OpenModel : public ::testing::TestWithParam<RandomModel> {
 protected:
  void SetUp() override {
    const Status written = reference::write_random_model(GetParam(), 3, env_, path_);
    ASSERT_TRUE(written.ok()) << written.text();
    bytes_ = env_.bytes(path_);
    gguf_ = Gguf::parse(bytes_).value();
  }

  Status open() {
    Ledger ledger(kBudget);
    auto model = open_model(env_, path_, ledger);
    if (model.ok()) run(**model, ledger);
    Status status = std::move(model).status();
    EXPECT_TRUE(status.ok() || ledger.used() == 0) << status.text();
    return status;
  }
  // The file again, each tensor as `change` leaves it; an empty name drops it.
  template <class Change>
  void rewrite(const Change& change, const std::map<std::string, GgufValue>& more = {}) {
    GgufWriter writer;
    for (const auto& [key, value] : gguf_.metadata()) writer.set(key, value);
    for (const auto& [key, value] : more) writer.set(key, value);
    auto bytes = bytes_;
    bytes.resize(bytes.size() + (1 << 18));  // a tensor that grew ends in what follows it
    for (GgufTensor tensor : gguf_.tensors()) {
      change(tensor);
      const auto own = std::span(bytes).subspan(size_t(tensor.offset), size_t(tensor.elements()) * 4);
      if (!tensor.name.empty()) writer.add(tensor.name, 0, tensor.shape, own);
    }
    const Status written = writer.write(env_, path_);
    ASSERT_TRUE(written.ok()) << written.text();
  }
  void write_raw(std::span<const std::byte> bytes) { env_.bytes(path_).assign(bytes.begin(), bytes.end()); }

  MemoryEnv env_;
  const std::string path_ = "random.gguf";
  std::vector<std::byte> bytes_;
  Gguf gguf_;

 private:
  static void run(const Model& model, Ledger& ledger) {
    const int32_t width = model.shape().width;
    const int64_t bytes = model.scratch_bytes(3, 1) + Scratch::bytes_for(1, width);
    auto kv = make_kv_pool(ledger, model.shape().kv, KvRecipe{.pack = "f32"});
    auto scratch = Scratch::make(ledger, bytes);
    if (!kv.ok() || !scratch.ok()) return;  // hostile, or just too large
    auto cache = make_kv_cache(*kv);
    if (!cache.ok() || !(*cache)->reserve(3).ok()) return;
    ThreadPool pool(1);
    Ops ops(pool);
    const std::vector<Segment> segments{{0, 3, cache->get(), nullptr}};
    const std::vector<int32_t> tokens{0, 1, 2}, positions{0, 1, 2}, outputs{2};
    const Status done =
        model.hidden({tokens, positions, segments, outputs}, ops, *scratch, scratch->take(1, width));
    EXPECT_TRUE(done.ok() || done.code() == Code::invalid) << done.text();
  }
};

TEST_P(OpenModel, OpensRunsAndBooksItsWeights) {
  Ledger ledger(kBudget);
  auto model = open_model(env_, path_, ledger);
  ASSERT_TRUE(model.ok()) << std::move(model).status().text();
  EXPECT_EQ(ledger.used(), ledger.used(Tag::weights));
  EXPECT_EQ(ledger.used(), (*model)->weights().resident_bytes());
  EXPECT_EQ((*model)->tokenizer(), nullptr);
  EXPECT_EQ((*model)->chat_template(), nullptr);
  EXPECT_TRUE(open().ok());
}

TEST_P(OpenModel, AMissingTensorIsNamed) {
  for (const GgufTensor& missing : gguf_.tensors()) {
    if (missing.name.starts_with("blk.1.") || missing.name.ends_with("attn_qkv.weight")) continue;
    rewrite([&](GgufTensor& tensor) {
      if (tensor.name == missing.name) tensor.name.clear();
    });
    const Status status = open();
    const bool optional = missing.name == "output.weight" || missing.name.ends_with(".bias") ||
                          missing.name == "rope_freqs.weight";
    if (optional) continue;
    EXPECT_EQ(status.code(), Code::invalid) << missing.name;
    EXPECT_NE(status.text().find(missing.name.substr(0, missing.name.rfind('.'))), std::string::npos)
        << status.text();
  }
}

TEST_P(OpenModel, AWrongShapeIsNamed) {
  for (const GgufTensor& wrong : gguf_.tensors()) {
    if (wrong.name == "token_embd.weight") continue;  // it says what the vocabulary is
    if (wrong.name.starts_with("blk.1.")) continue;
    for (size_t dimension = 0; dimension < wrong.shape.size(); ++dimension) {
      rewrite([&](GgufTensor& tensor) {
        if (tensor.name == wrong.name) tensor.shape[dimension] += 1;
      });
      const Status status = open();
      EXPECT_EQ(status.code(), Code::invalid) << wrong.name;
      EXPECT_NE(status.text().find(wrong.name.substr(0, wrong.name.rfind('.'))), std::string::npos)
          << status.text();
    }
  }
}

TEST_P(OpenModel, ATensorThatTheFamilyDoesNotUseIsRefused) {
  rewrite([](GgufTensor& tensor) {
    if (tensor.name == "output_norm.weight") tensor.name = "blk.1.attn_sinks.weight";
  });
  EXPECT_EQ(open().code(), Code::invalid);  // output_norm is missing: said first
  write_raw(bytes_);
  rewrite([](GgufTensor& tensor) {
    if (tensor.name == "output.weight") tensor.name = "blk.1.attn_sinks.weight";
  });
  const Status status = open();
  EXPECT_EQ(status.code(), Code::unsupported);
  EXPECT_NE(status.text().find("blk.1.attn_sinks"), std::string::npos) << status.text();
}

TEST_P(OpenModel, ATruncatedFileIsCorrupt) {
  for (size_t keep : {size_t(0), size_t(3), size_t(100), bytes_.size() / 2, bytes_.size() - 1}) {
    write_raw(std::span(bytes_).first(keep));
    const Status status = open();
    EXPECT_EQ(status.code(), Code::corrupt) << keep << ": " << status.text();
  }
}

TEST_P(OpenModel, BrokenHeadsNeverCrash) {
  for (uint64_t round = 0; round < 500; ++round) {
    auto bytes = bytes_;
    for (uint64_t i = 0; i < 1 + round % 4; ++i) {
      const RngKey key{round, i, Site::test};
      bytes[random_bits(key, 0) % size_t(gguf_.head_bytes())] = std::byte(random_bits(key, 1));
    }
    write_raw(bytes);
    open().ignore("whatever it is, it is no crash");
  }
}

TEST_P(OpenModel, HostileHyperParametersNeverCrash) {
  constexpr int64_t kValues[] = {0, 1, 2, 3, 6, 7, 16, 48, 255, 4096, 65536, 0x7FFFFFFF, 0xFFFFFFFF};
  std::vector<std::string> keys{"expert_count", "expert_used_count", "rope.dimension_count",
                                "attention.sliding_window", "rope.scaling.original_context_length"};
  for (const auto& [key, value] : gguf_.metadata()) {
    const std::string prefix = GetParam().architecture + ".";
    if (key.starts_with(prefix)) keys.push_back(key.substr(prefix.size()));
  }
  int32_t opened = 0;
  for (uint64_t round = 0; round < 500; ++round) {
    const RngKey random{round, 0, Site::test};
    std::map<std::string, GgufValue> more;
    for (uint64_t i = 0; i < 1 + round % 3; ++i) {
      const std::string& key = keys[random_bits(random, 2 * i) % keys.size()];
      more[GetParam().architecture + "." + key] =
          count_value(kValues[random_bits(random, 2 * i + 1) % std::size(kValues)]);
    }
    rewrite([](GgufTensor&) {}, more);
    opened += open().ok();
  }
  EXPECT_GT(opened, 5);  // else nothing was run
}

INSTANTIATE_TEST_SUITE_P(
    Families, OpenModel,
    ::testing::Values(RandomModel{.architecture = "llama", .biases = true, .rope_factors = true},
                      RandomModel{.architecture = "gemma3",
                                  .more = {{"attention.sliding_window", count_value(8)}}},
                      RandomModel{.architecture = "qwen3moe", .experts = 3, .experts_used = 2},
                      RandomModel{.architecture = "gpt2", .kv_heads = 6, .fused_qkv = true, .biases = true}),
    [](const auto& one) { return one.param.architecture; });

class OneModel : public ::testing::Test {
 protected:
  Result<std::shared_ptr<const Model>> open(const RandomModel& model, uint64_t seed,
                                            int64_t budget = kBudget) {
    TRY(reference::write_random_model(model, seed, env_, "one.gguf"));
    return open_model(env_, "one.gguf", ledgers_.emplace_back(budget));
  }
  MemoryEnv env_;
  std::list<Ledger> ledgers_;  // they outlive the models
};

TEST_F(OneModel, TheFingerprintIsTheModelsAlone) {
  auto first = open({.architecture = "llama"}, 1), again = open({.architecture = "llama"}, 1);
  auto other = open({.architecture = "llama"}, 2);
  auto longer = open({.architecture = "llama", .context = 97}, 1);
  ASSERT_TRUE(first.ok() && again.ok() && other.ok() && longer.ok());
  EXPECT_EQ((*first)->fingerprint(), (*again)->fingerprint());
  EXPECT_NE((*first)->fingerprint(), (*other)->fingerprint());
  EXPECT_NE((*first)->fingerprint(), (*longer)->fingerprint());
}

TEST_F(OneModel, TooLittleBudgetIsOneSentenceWithTheArithmetic) {
  auto model = open({.architecture = "llama", .width = 480, .hidden = 800}, 1, 1 << 20);
  ASSERT_EQ(model.code(), Code::over_budget);
  EXPECT_EQ(ledgers_.back().used(), 0);
  const std::string said = std::move(model).status().text();
  EXPECT_NE(said.find("MiB of weights + "), std::string::npos) << said;
  EXPECT_NE(said.find("the budget is 1.00 MiB"), std::string::npos) << said;
}

TEST_F(OneModel, AFileThatIsNotThereIsNotFound) {
  Ledger ledger(kBudget);
  EXPECT_EQ(open_model(env_, "absent.gguf", ledger).code(), Code::not_found);
}

TEST_F(OneModel, TokensAndPositionsOfNobodyAreRefused) {
  ASSERT_TRUE(open({.architecture = "gpt2", .kv_heads = 6, .context = 8, .biases = true}, 1).ok());
  ModelRun run("one.gguf", 1, env_);
  auto cache = make_kv_cache(make_kv_pool(run.ledger(), run.model().shape().kv, {}).value()).value();
  ASSERT_TRUE(cache->reserve(1).ok());
  ThreadPool pool(1);
  Ops ops(pool);
  Scratch scratch = Scratch::make(run.ledger(), 1 << 20).value();
  Rows logits = scratch.take(1, run.vocabulary());
  const std::vector<Segment> segments{{0, 1, cache.get(), nullptr}};
  const std::vector<int32_t> outputs{0};
  auto step = [&](Token token, int32_t position) {
    const std::vector<int32_t> tokens{token}, positions{position};
    return run.model().forward({tokens, positions, segments, outputs}, ops, scratch, logits).code();
  };
  EXPECT_EQ(step(-1, 0), Code::invalid);
  EXPECT_EQ(step(run.vocabulary(), 0), Code::invalid);
  EXPECT_EQ(step(0, -1), Code::invalid);
  EXPECT_EQ(step(0, 8), Code::invalid);
  EXPECT_EQ(step(0, 7), Code::ok);
}

TEST_F(OneModel, AChatTemplateThatDoesNotParseCostsOnlyTheChat) {
  ASSERT_TRUE(open({.architecture = "llama"}, 1).ok());
  const auto bytes = env_.bytes("one.gguf");
  const Gguf gguf = Gguf::parse(bytes).value();
  for (const char* source : {"{% for m in messages %}{{ m.content }}{% endfor %}", "{% for %}"}) {
    GgufWriter writer;
    for (const auto& [key, value] : gguf.metadata()) writer.set(key, value);
    writer.set("tokenizer.chat_template", std::string(source));
    for (const GgufTensor& tensor : gguf.tensors()) {
      writer.add(tensor.name, tensor.type, tensor.shape,
                 std::span(bytes).subspan(size_t(tensor.offset), size_t(tensor.bytes)));
    }
    ASSERT_TRUE(writer.write(env_, "chat.gguf").ok());
    Ledger ledger(kBudget);
    auto model = open_model(env_, "chat.gguf", ledger);
    ASSERT_TRUE(model.ok()) << std::move(model).status().text();
    const bool good = std::string(source).find("endfor") != std::string::npos;
    EXPECT_EQ((*model)->chat_template() != nullptr, good);
    EXPECT_EQ((*model)->chat_template_problem().empty(), good);
  }
}

}  // namespace
}  // namespace varve
