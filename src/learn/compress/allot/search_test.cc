// by=search on a small model: what it finds, and that it goes on where it was cut off.
#include "learn/compress/allot/search.h"

#include <algorithm>
#include <filesystem>

#include "core/io/fault_env.h"
#include "learn/compress/allot/formats.h"
#include "learn/compress/rig_test.h"

namespace varve {
namespace {

struct FormatSearchTest : testing::Test, CompressRig {
  static std::string by_search(const char* more, const char* methods = "") {
    return std::string("target=6bpw:by=search,children=4,") + more + methods;
  }
  // On the texts that the search judges by.
  double loss(const std::string& path) {
    const auto model = open(base), other = open(path);
    const auto texts = read_calibration(posix_env(), text, *model, 300, 64, ledger).value().texts;
    return std::move(Answers::make(*model, texts, ops, ledger))
        .value()
        .compare(*other, nullptr, ops, ledger)
        ->kl;
  }
};

TEST_F(FormatSearchTest, loses_less_than_the_allocator_alone_in_as_many_bytes) {
  const auto plain = run("target=6bpw", folder / "plain.gguf").value();
  const auto found = run(by_search("rounds=1,generations=10"), folder / "found.gguf").value();
  EXPECT_LE(found.bits(), 6.0);
  EXPECT_GT(found.bits(), 5.5);
  EXPECT_LT(loss(folder / "found.gguf"), loss(folder / "plain.gguf"));
  EXPECT_FALSE(std::filesystem::exists(folder / "found.gguf.work"));
  EXPECT_EQ(plain.weights.size(), found.weights.size());
}

TEST_F(FormatSearchTest, is_the_same_again_and_another_with_another_seed) {
  const auto file = [&](const char* name, const char* more) {
    const auto report = run(by_search(more, "+gptq"), folder / name);
    EXPECT_TRUE(report.ok());
    return bytes(folder / name);
  };
  const std::string one = file("a.gguf", "rounds=2,generations=3");
  EXPECT_EQ(file("b.gguf", "rounds=2,generations=3"), one);
  EXPECT_NE(file("c.gguf", "rounds=2,generations=3,seed=8"), one);
}

TEST_F(FormatSearchTest, a_plan_is_what_is_written_and_is_not_searched_again) {
  const CompressRecipe recipe = parse_compress_recipe(by_search("rounds=1,generations=2", "+search")).value();
  CompressOptions options{
      .model = base, .out = folder / "a.gguf", .calibrate = text, .tokens = 300, .plan_only = true};
  int generations = 0, rounded = 0;
  const auto count = [&](std::string_view stage, int64_t, int64_t) {
    generations += stage.starts_with("searching"), rounded += stage == "rounding versions";
  };
  const auto plan = compress_model(posix_env(), options, recipe, threads, ledger, count).value();
  EXPECT_EQ(generations, 2);
  EXPECT_GT(rounded, int(plan.weights.size()));
  generations = rounded = 0, options.plan_only = false;
  const auto report = compress_model(posix_env(), options, recipe, threads, ledger, count).value();
  EXPECT_EQ(generations, 0);
  EXPECT_EQ(rounded, 0);
  for (size_t i = 0; i < plan.weights.size(); ++i) EXPECT_EQ(report.weights[i].to, plan.weights[i].to);
  EXPECT_TRUE(open(folder / "a.gguf"));
}

TEST_F(FormatSearchTest, a_damaged_state_is_refused_in_a_sentence) {
  const CompressRecipe recipe = parse_compress_recipe(by_search("rounds=1,generations=1")).value();
  CompressOptions options{
      .model = base, .out = folder / "a.gguf", .calibrate = text, .tokens = 300, .plan_only = true};
  const auto quiet = [](std::string_view, int64_t, int64_t) {};
  ASSERT_TRUE(compress_model(posix_env(), options, recipe, threads, ledger, quiet).ok());
  options.plan_only = false;
  const std::string state = folder / "a.gguf.work/search";
  ASSERT_TRUE(std::filesystem::exists(state));
  for (const char* words :
       {"", "[]", "{}", R"({"ended": 1, "now": {}})", R"({"ended": true, "now": 3})",
        R"({"ended": true, "now": {"round": 0, "generation": 0, "centre": ["x"]}})",
        R"({"ended": true, "now": {"round": 0, "generation": 0, "centre": [], "chosen": []}})"}) {
    ASSERT_TRUE(write_file(posix_env(), state, std::as_bytes(std::span(std::string_view(words)))).ok());
    EXPECT_FALSE(compress_model(posix_env(), options, recipe, threads, ledger, quiet).ok()) << words;
  }
}

// Whatever call fails, the same command afterwards ends with the same file.
TEST_F(FormatSearchTest, goes_on_after_a_failure_anywhere) {
  const std::string recipe = by_search("rounds=2,generations=1", "+gptq");
  ASSERT_TRUE(run(recipe, folder / "whole.gguf").ok());
  const std::string whole = bytes(folder / "whole.gguf");
  FaultPlan plan;
  FaultEnv env(posix_env(), plan);
  ASSERT_TRUE(run(recipe, folder / "counted.gguf", env).ok());
  const int64_t calls = plan.calls();
  for (int64_t call = 0; call < calls; call += 1 + calls / 6) {
    const std::string out = folder / ("out" + std::to_string(call) + ".gguf");
    plan.fail_at(call, call % 2 == 0 ? Fault::no_space : Fault::short_write, true);
    EXPECT_FALSE(run(recipe, out, env).ok()) << call;
    plan.heal();
    if (std::filesystem::exists(out)) continue;  // it failed in tidying up
    auto again = run(recipe, out, env);
    ASSERT_TRUE(again.ok()) << call << std::string(std::move(again).status().message());
    EXPECT_EQ(bytes(out), whole) << "after call " << call;
  }
}

TEST_F(FormatSearchTest, planes_may_be_chosen_where_blocks_do_not_fit) {
  ASSERT_TRUE(
      write_tiny_model(posix_env(), base, {.layers = 1, .width = 128, .hidden = 384, .vocabulary = 264})
          .ok());
  const auto refused = run("target=3.5bpw", folder / "no.gguf");
  EXPECT_EQ(refused.code(), Code::invalid) << "rows of 128 take 4.5 bits a weight at least";
  const auto report = run("target=3.5bpw:by=search,planes=1,rounds=1,generations=2", folder / "a.gguf");
  ASSERT_TRUE(report.ok());
  EXPECT_LE(report->bits(), 3.5);
  EXPECT_TRUE(std::any_of(report->weights.begin(), report->weights.end(),
                          [](auto& weight) { return weight.to.starts_with("bp"); }));
}

TEST_F(FormatSearchTest, refuses_what_it_cannot_judge_or_does_not_know) {
  const auto says = [&](const std::string& recipe, const char* words, bool calibrate) {
    const auto result = run(recipe, folder / "no.gguf", posix_env(), calibrate);
    ASSERT_FALSE(result.ok()) << recipe;
    const std::string error(std::move(const_cast<Result<CompressReport>&>(result)).status().message());
    EXPECT_NE(error.find(words), std::string::npos) << error;
  };
  says("target=4bpw:by=search", "need a text to measure by", false);
  says("target=4bpw:by=chance", "by=search", true);
  says("target=4bpw:rounds=2", "unknown option 'rounds'", true);
  says("target=4bpw:by=search,measured=0", "one of by=... and measured=0", true);
  says("target=4bpw:by=search,generations=0", "out of range", true);
}

}  // namespace
}  // namespace varve
