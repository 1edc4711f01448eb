// A model larger than the budget: the same words as in memory, whatever is taken or given meanwhile.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "core/base/process.h"
#include "run/weights/stream_plan.h"
#include "serve/home/control.h"
#include "serve/home/home.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

constexpr int64_t kMiB = 1 << 20;

struct Written {
  std::vector<Token> tokens;
  Status status;
};

Written write(Engine& engine, const std::function<void(int)>& meanwhile = {}) {
  std::promise<Written> done;
  auto out = std::make_shared<Written>();
  Request request{.tokens = {1, 2, 3}, .max_tokens = 12, .ignore_end = true};
  request.sampling.temperature = 0;
  Listener listener;
  listener.on_token = [out](const Sampled& one) {
    out->tokens.push_back(one.token);
    return true;
  };
  listener.on_finish = [out, &done](Finish, Status status, const Usage&, std::vector<float>) {
    out->status = std::move(status);
    done.set_value(std::move(*out));
  };
  const auto submitted = engine.submit(std::move(request), std::move(listener));
  EXPECT_TRUE(submitted.ok());
  if (meanwhile) meanwhile(0);
  return done.get_future().get();
}

class StreamingHome : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(
        write_tiny_model(posix_env(), folder / "m.gguf", {.layers = 3, .width = 256, .hidden = 4096}).ok());
  }
  Result<std::unique_ptr<Home>> open(int64_t budget, HomeOptions made = {}) {
    made.folder = folder / "home";
    made.model = folder / "m.gguf";
    made.budget_bytes = budget;
    made.engine.chunk_rows = 32;
    made.engine.max_sequences = 2;
    made.engine.prefixes.disk_bytes = 0;
    return Home::open(made);
  }
  static int64_t too_little() { return resident_bytes() + (24 + 34) * kMiB; }  // for 36 MiB of weights
  TempFolder folder;
};

TEST_F(StreamingHome, WritesTheSameWordsWhateverIsTakenOrGiven) {
  const Written whole = write(*open(int64_t(1) << 30).value()->engine());
  ASSERT_TRUE(whole.status.ok());
  ASSERT_EQ(whole.tokens.size(), 12u);

  const int64_t budget = too_little();
  auto opened = open(budget);
  ASSERT_TRUE(opened.ok()) << std::move(opened).status().text();
  Home& home = **opened;
  const Streaming* streaming = home.engine()->model().weights().streaming();
  ASSERT_NE(streaming, nullptr);
  const StreamPlan plan = streaming->plan();
  EXPECT_GT(plan.resident_bytes, 0);
  EXPECT_GT(plan.streamed_bytes(), 0);
  EXPECT_EQ(write(*home.engine()).tokens, whole.tokens);

  const auto changing = [&](int) {
    for (int64_t less : {6, 2, 8, 0}) EXPECT_TRUE(home.set_budget(budget - less * kMiB).ok());
  };
  EXPECT_EQ(write(*home.engine(), changing).tokens, whole.tokens);
  EXPECT_LE(home.ledger().used(), home.ledger().limit());

  ASSERT_TRUE(home.set_budget(budget - 6 * kMiB).ok());
  EXPECT_LT(streaming->plan().resident_bytes, plan.resident_bytes);
  const Status refused = home.set_budget(kMiB);
  EXPECT_EQ(refused.code(), Code::over_budget);
  EXPECT_NE(refused.message().find("MiB or more"), refused.message().npos) << refused.message();
  ASSERT_TRUE(home.set_budget(budget + 40 * kMiB).ok());
  EXPECT_EQ(streaming->plan().streamed_bytes(), 0);
  EXPECT_EQ(write(*home.engine()).tokens, whole.tokens);
}

TEST_F(StreamingHome, GivesWeightsBackWhileTheMachineIsShortOfMemory) {
  const std::string counter = folder / "pressure";
  int64_t waited_us = 0;
  const auto wait_more = [&](int64_t us) {
    const std::string text = "some avg10=0 avg60=0 avg300=0 total=" + std::to_string(waited_us += us) + "\n";
    return write_file(posix_env(), counter, std::as_bytes(std::span(text))).ok();
  };
  ASSERT_TRUE(wait_more(0));
  HomeOptions options;
  options.pressure = counter;
  options.pressure_every_ms = 2;
  const int64_t budget = too_little() + 60 * kMiB;
  const auto home = open(budget, options).value();
  const Written whole = write(*home->engine());
  ASSERT_EQ(whole.tokens.size(), 12u);
  const auto until = [](const auto& there) {
    for (int i = 0; i < 20000 && !there(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return there();
  };
  const auto in_force = [&] { return home->ledger().limit() + home->ledger().outside(); };
  EXPECT_TRUE(until([&] { return wait_more(1'000'000) && in_force() < budget; }));
  EXPECT_EQ(home->asked_budget(), budget);
  EXPECT_EQ(write(*home->engine()).tokens, whole.tokens);
  EXPECT_TRUE(until([&] { return in_force() == budget; })) << "it is calm again";
  EXPECT_EQ(write(*home->engine()).tokens, whole.tokens);
}

TEST_F(StreamingHome, AFileThatIsCutFailsTheAnswerAndNotTheProcess) {
  const auto home = open(too_little()).value();
  ASSERT_TRUE(write(*home->engine()).status.ok());
  auto file = posix_env().open(folder / "m.gguf", Open::write).value();
  ASSERT_TRUE(file->truncate(8 * kMiB).ok());
  const Written cut = write(*home->engine());
  EXPECT_EQ(cut.status.code(), Code::corrupt) << cut.status.text();
}

TEST_F(StreamingHome, ItsPlanAndBudgetAreAskedFromOutside) {
  const auto home = open(too_little()).value();
  const auto control = open_control(*home);
  ASSERT_NE(control, nullptr);
  const Json asked = ask_for_budget(home->folder(), std::nullopt).value();
  EXPECT_EQ(asked["budget"].as_int(), home->ledger().limit() + home->ledger().outside());
  EXPECT_GT(asked["streaming"]["streamed_a_token"].as_int(), 0);
  const int64_t less = asked["budget"].as_int() - 4 * kMiB;
  EXPECT_EQ(ask_for_budget(home->folder(), less).value()["budget"].as_int(), less);
  EXPECT_EQ(ask_for_budget(home->folder(), kMiB).code(), Code::over_budget);
}

}  // namespace
}  // namespace varve
