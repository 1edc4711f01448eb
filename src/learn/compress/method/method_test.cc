// What each method is for: the one thing that makes it that method.
#include "learn/compress/rig_test.h"

namespace varve {
namespace {

struct Method : testing::Test, CompressRig {
  Gguf head(const std::string& name) {
    const auto mapping = posix_env().map(folder / name).value();
    return Gguf::parse(mapping->bytes()).value();
  }
};

TEST_F(Method, rtn_is_the_formats_own_encoder) {
  ASSERT_TRUE(run("q5_1+rtn", folder / "a.gguf").ok());
  ASSERT_TRUE(run("q5_1", folder / "b.gguf").ok());
  EXPECT_EQ(bytes(folder / "a.gguf"), bytes(folder / "b.gguf"));
}

TEST_F(Method, smooth_changes_weights_and_no_answer) {
  ASSERT_TRUE(run("smooth+f32", folder / "a.gguf").ok());
  EXPECT_NE(bytes(folder / "a.gguf"), bytes(base));
  EXPECT_LT(std::abs(divergence(folder / "a.gguf")), 1e-9);
}

TEST_F(Method, flap_cuts_every_layer_alike_and_leaves_a_bias) {
  ASSERT_TRUE(run("flap:share=0.5", folder / "a.gguf").ok());
  const Gguf cut = head("a.gguf");
  EXPECT_EQ(cut.integer("llama.feed_forward_length").value(), 64);
  EXPECT_EQ(cut.tensor("blk.0.ffn_up.weight")->shape, (std::vector<int64_t>{64, 64}));
  EXPECT_EQ(cut.tensor("blk.0.ffn_down.weight")->shape, (std::vector<int64_t>{64, 64}));
  EXPECT_EQ(cut.tensor("blk.0.ffn_down.bias")->shape, std::vector<int64_t>{64});
  // What was not cut is as it was; the bias takes back some of what is lost.
  EXPECT_LT(divergence(folder / "a.gguf"), 0.1);
  auto late = run("smooth+flap", folder / "b.gguf");
  EXPECT_NE(std::move(late).status().message().find("flap comes before"), std::string::npos);
  auto blind = run("flap+q4_0", folder / "b.gguf", posix_env(), false);
  EXPECT_NE(std::move(blind).status().message().find("--calibrate"), std::string::npos);
}

TEST_F(Method, gptq_rounds_so_that_what_was_seen_loses_less_than_by_any_other) {
  const auto loss = [&](const std::string& recipe) {
    EXPECT_TRUE(run(recipe, folder / (recipe + ".gguf")).ok());
    return divergence(folder / (recipe + ".gguf"));
  };
  const double gptq = loss("q4_0+gptq");
  EXPECT_LT(gptq, loss("q4_0+search"));
  EXPECT_LT(gptq, loss("q4_0"));
}

TEST_F(Method, omniquant_loses_less_than_gptq_from_which_it_begins) {
  wide();
  const auto loss = [&](const std::string& recipe) {
    EXPECT_TRUE(run(recipe, folder / (recipe + ".gguf")).ok());
    return divergence(folder / (recipe + ".gguf"));
  };
  EXPECT_LT(loss("q2_k+omniquant"), 0.95 * loss("q2_k+gptq"));
  EXPECT_LT(loss("q4_0+omniquant"), loss("q4_0+gptq"));
}

}  // namespace
}  // namespace varve
