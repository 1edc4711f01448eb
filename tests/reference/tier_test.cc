// A sequence longer than what RAM may hold of it: the same bits as in RAM, whatever waits or is read ahead,
// and one clear error when the disk is full.
#include <deque>

#include "core/io/fault_env.h"
#include "run/engine/heard_test.h"
#include "run/kv/kv_pool.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

class Tier : public testing::TestWithParam<int> {  // layers
 protected:
  std::unique_ptr<Engine> engine(const std::string& kv, int64_t limit = 1 << 30, int64_t disk = 64 << 20) {
    const std::string path = folder.path() + "/model.gguf";
    CHECK(write_tiny_model(posix_env(), path, {.layers = GetParam()}).ok(), "a tiny model");
    model.reset();  // before the ledger that its weights are booked in
    ledger = std::make_unique<Ledger>(limit);
    model = open_model(posix_env(), path, *ledger).value();
    EngineOptions options{.chunk_rows = 48, .kv = kv, .threads = 1};
    options.pauses = {.env = &env, .folder = folder.path() + "/paused", .disk_bytes = disk};
    auto started = start_engine(model, *ledger, options);
    CHECK(started.ok(), std::string(started.ok() ? "" : std::move(started).status().text()).c_str());
    return std::move(*started);
  }
  std::vector<Token> say(Engine& with, int32_t prompt, int32_t more, uint64_t seed,
                         Status* status = nullptr) {
    Heard heard;
    Request request = ask(prompt_of(prompt, seed), more, {.temperature = 1, .seed = seed});
    request.ignore_end = true;
    const Status submitted = with.submit(request, heard.listener()).status();
    EXPECT_TRUE(submitted.ok()) << submitted.message();
    if (!submitted.ok()) return {};
    heard.wait();
    EXPECT_EQ(heard.status().ok(), status == nullptr) << heard.status().message();
    if (status != nullptr && !heard.status().ok())
      *status = Status(heard.status().code(), std::string(heard.status().message()));
    return heard.tokens();
  }
  FaultPlan plan;
  FaultEnv env{posix_env(), plan, true};
  TempFolder folder{TempFolder::in_ram()};
  std::unique_ptr<Ledger> ledger;
  std::shared_ptr<const Model> model;
};

TEST_P(Tier, SaysWhatItWouldInRam) {
  std::vector<std::vector<Token>> in_ram;
  {
    auto all = engine("pack=f16");
    for (int i = 0; i < 3; ++i) in_ram.push_back(say(*all, 100 + 130 * i, 40, uint64_t(i + 1)));
  }
  auto tiered = engine("pack=f16 ram_tokens=128");
  std::deque<Heard> heard(3);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(say(*tiered, 100 + 130 * int32_t(i), 40, i + 1), in_ram[i]) << i;
  for (size_t i = 0; i < 3; ++i) {  // beside each other
    Request request = ask(prompt_of(100 + 130 * int32_t(i), i + 1), 40, {.temperature = 1, .seed = i + 1});
    request.ignore_end = true;
    ASSERT_TRUE(tiered->submit(request, heard[i].listener()).ok());
  }
  for (size_t i = 0; i < 3; ++i) {
    heard[i].wait();
    EXPECT_EQ(heard[i].tokens(), in_ram[i]) << i;
  }
  EXPECT_EQ(tiered->stats().paused_bytes, 0) << "nothing is left on the disk";
}

// What a selector chooses comes back from the disk: the words are those that it says in RAM, and the bytes do
// not grow with the sequence but for what the selector remembers.
TEST_P(Tier, SaysWhatItsSelectorSaysInRam) {
  for (const std::string& name : kv_selectors().names()) {
    const std::string recipe = "select=" + name + ":pages=1,window=1";
    if (!parse_kv_recipe(recipe + " ram_tokens=128").ok()) continue;
    // Prompts that select have the bits of how they are cut, at full pages where those go to the disk.
    for (const auto& [ram, disk] :
         {std::pair{recipe, recipe + " ram_tokens=128"},
          std::pair{recipe + ",prompts=1 ram_tokens=2048", recipe + ",prompts=1 ram_tokens=128"}}) {
      std::vector<Token> in_ram;
      {
        auto all = engine(ram);
        in_ram = say(*all, 900, 30, 5);
      }
      auto tiered = engine(disk);
      EXPECT_EQ(say(*tiered, 900, 30, 5), in_ram) << disk;
      EXPECT_EQ(tiered->stats().paused_bytes, 0);
    }
  }
}

TEST_P(Tier, WhatIsChosenFitsWhereEverythingDoesNot) {
  const KvShape shape{.layers = GetParam(), .kv_heads = 2, .key_dim = 16, .value_dim = 16};
  const std::string few = "select=box:pages=1,window=1,prompts=1 ram_tokens=128";
  const int64_t bytes = kv_bytes_for(shape, parse_kv_recipe(few).value(), 1930);
  EXPECT_LT(bytes, kv_bytes_for(shape, parse_kv_recipe("pack=f16").value(), 1930) / 2);
  int64_t beside = 0;
  {
    auto all = engine("pack=f16");
    beside = ledger->used();
  }
  auto small = engine(few, beside + bytes + 60000);
  EXPECT_EQ(say(*small, 1900, 20, 3).size(), 20u);
  EXPECT_LE(ledger->peak(), ledger->limit());
}

TEST_P(Tier, ABudgetHoldsMoreTokensThanItHasBytesFor) {
  if (GetParam() < 4) return;
  const KvShape shape{.layers = GetParam(), .kv_heads = 2, .key_dim = 16, .value_dim = 16};
  const auto bytes = [&](const char* kv) { return kv_bytes_for(shape, parse_kv_recipe(kv).value(), 930); };
  const int64_t whole = bytes("pack=f16"), tiered = bytes("pack=f16 ram_tokens=128");
  EXPECT_LT(tiered, whole * 8 / 10);
  std::vector<Token> in_ram;
  int64_t beside = 0;
  {
    auto all = engine("pack=f16");
    beside = ledger->used();
    in_ram = say(*all, 900, 20, 3);
  }
  auto small = engine("pack=f16 ram_tokens=128", beside + tiered + 40000);
  EXPECT_EQ(say(*small, 900, 20, 3), in_ram);
  EXPECT_LE(ledger->peak(), ledger->limit());
}

TEST_P(Tier, ADiskThatIsFullIsOneErrorAndTheNextRequestIsAnswered) {
  auto small = engine("pack=f16 ram_tokens=128", 1 << 30, 60000 * GetParam());
  Status status;
  say(*small, 1900, 10, 3, &status);
  EXPECT_EQ(status.code(), Code::over_budget);
  EXPECT_NE(status.message().find("raise --pause-disk"), std::string::npos) << status.message();
  EXPECT_EQ(say(*small, 150, 20, 4).size(), 20u);
  EXPECT_EQ(small->stats().paused_bytes, 0);
}

// Any call of the file system may fail: the answer is right, or there is one error.
TEST_P(Tier, AnyFaultIsAnErrorOrTheSameAnswer) {
  std::vector<Token> in_ram;
  {
    auto all = engine("pack=f16");
    in_ram = say(*all, 300, 12, 3);
  }
  for (int64_t at = 3; at < 300; at += 53) {
    plan.heal();
    auto tiered = engine("pack=f16 ram_tokens=64");
    plan.fail_at(at, at % 2 == 0 ? Fault::no_space : Fault::io_error);
    Heard heard;
    Request request = ask(prompt_of(300, 3), 12, {.temperature = 1, .seed = 3});
    request.ignore_end = true;
    ASSERT_TRUE(tiered->submit(request, heard.listener()).ok());
    heard.wait();
    if (heard.status().ok()) {
      EXPECT_EQ(heard.tokens(), in_ram);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, Tier, testing::Values(1, 2, 6),
                         [](const auto& one) { return std::to_string(one.param); });

}  // namespace
}  // namespace varve
