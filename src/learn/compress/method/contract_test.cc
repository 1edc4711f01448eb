// What every method owes. A new one is in this test the moment it is in all.def.
#include <filesystem>

#include "core/io/fault_env.h"
#include "learn/compress/rig_test.h"

namespace varve {
namespace {

class EveryCompressor : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "experts") rig.experts();
  }
  CompressRig rig;
  std::string recipe = GetParam() + "+q4_0";
};

TEST_P(EveryCompressor, makes_a_model_that_opens_and_answers_nearly_as_before) {
  const auto report = rig.run(recipe, rig.folder / "out.gguf").value();
  EXPECT_LT(report.bytes, report.bytes_before / 4);
  EXPECT_LT(rig.divergence(rig.folder / "out.gguf"), 0.2);
  EXPECT_FALSE(std::filesystem::exists(rig.folder / "out.gguf.work"));
  int64_t bytes = 0;
  const auto mapping = posix_env().map(rig.folder / "out.gguf").value();
  const Gguf gguf = Gguf::parse(mapping->bytes()).value();
  for (const GgufTensor& tensor : gguf.tensors()) bytes += tensor.bytes;
  EXPECT_EQ(bytes, report.bytes) << "as planned";
}

TEST_P(EveryCompressor, gives_the_same_bytes_again) {
  ASSERT_TRUE(rig.run(recipe, rig.folder / "a.gguf").ok());
  ASSERT_TRUE(rig.run(recipe, rig.folder / "b.gguf").ok());
  EXPECT_EQ(rig.bytes(rig.folder / "a.gguf"), rig.bytes(rig.folder / "b.gguf"));
}

// Whatever call fails, the same command afterwards ends with the same file.
TEST_P(EveryCompressor, goes_on_after_a_failure_anywhere) {
  ASSERT_TRUE(rig.run(recipe, rig.folder / "whole.gguf").ok());
  const std::string whole = rig.bytes(rig.folder / "whole.gguf");
  FaultPlan plan;
  FaultEnv env(posix_env(), plan);
  ASSERT_TRUE(rig.run(recipe, rig.folder / "counted.gguf", env).ok());
  const int64_t calls = plan.calls();
  int32_t kept = 0;
  for (int64_t call = 0; call < calls; call += 1 + calls / 6) {
    const std::string out = rig.folder / ("out" + std::to_string(call) + ".gguf");
    plan.fail_at(call, call % 2 == 0 ? Fault::no_space : Fault::short_write, true);
    EXPECT_FALSE(rig.run(recipe, out, env).ok()) << call;
    plan.heal();
    if (std::filesystem::exists(out)) continue;  // it failed in tidying up
    auto again = rig.run(recipe, out, env);
    ASSERT_TRUE(again.ok()) << call << std::string(std::move(again).status().message());
    kept = std::max(kept, again->kept);
    EXPECT_EQ(rig.bytes(out), whole) << "after call " << call;
  }
  EXPECT_GT(kept, 3) << "what was done is not done again";
}

INSTANTIATE_TEST_SUITE_P(All, EveryCompressor, testing::ValuesIn(compressors().names()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace varve
