// A mixture of experts whose weights stay in their file: the same logits to the bit, and the experts of the
// next layer are on their way before it is reached.
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"
#include "tests/reference/random_model.h"
#include "tests/support/run_model.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

class StreamedExperts : public ::testing::TestWithParam<bool> {};

TEST_P(StreamedExperts, SayTheSameAndAreForeseen) {
  TempFolder folder;
  const std::string path = folder / "m.gguf";
  const reference::RandomModel shape{
      .architecture = "qwen3moe", .layers = 6, .experts = 12, .experts_used = 2, .fused_experts = GetParam()};
  ASSERT_TRUE(reference::write_random_model(shape, 5, posix_env(), path).ok());
  const Tokens tokens = golden_tokens(60, shape.vocabulary);
  const Logits whole = ModelRun(path, 2).logits(tokens, 1);

  ModelRun run(path, 2, posix_env(), open_planned_model);
  Streaming& streaming = *run.model().weights().streaming();
  EXPECT_EQ(run.logits(tokens, 1), whole) << "when nothing stays";
  EXPECT_EQ(streaming.counts().routed_there, 0);
  const StreamPlan plan = streaming.plan();
  streaming.keep(plan.pass_bytes + plan.routed_bytes / 2);
  EXPECT_EQ(run.logits(tokens, 1), whole);
  const StreamCounts counts = streaming.counts();
  EXPECT_LE(counts.resident_bytes, plan.pass_bytes + plan.routed_bytes / 2);
  EXPECT_GT(counts.routed_there, 0);
  EXPECT_GT(counts.routed_foreseen, 0);
  streaming.keep(0);
  EXPECT_EQ(run.logits(tokens), whole) << "all rows at once, which foresees nothing";
  std::printf(
      "             %lld parts of experts asked for, %lld there, %lld read because they were expected\n",
      (long long)counts.routed, (long long)counts.routed_there, (long long)counts.routed_foreseen);
}
INSTANTIATE_TEST_SUITE_P(Stacks, StreamedExperts, testing::Bool());

}  // namespace
}  // namespace varve
