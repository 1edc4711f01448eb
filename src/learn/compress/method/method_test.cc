// What each method is for: the one thing that makes it that method.
#include <algorithm>

#include "learn/compress/rig_test.h"
#include "run/weights/stream_plan.h"

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

// The error that is left by the rounding of each block is less than what was left before it; and a process
// with less room uses fewer blocks and answers as it would of a file that has no more.
TEST_F(Method, bitstack_blocks_come_and_go_by_the_budget) {
  wide();
  ASSERT_TRUE(run("q2_k+bitstack:blocks=2", folder / "two.gguf").ok());
  ASSERT_TRUE(run("q2_k", folder / "none.gguf").ok());
  const double none = divergence(folder / "none.gguf"), two = divergence(folder / "two.gguf");
  EXPECT_LT(two, 0.6 * none) << "table and head have no blocks";
  const auto model = open(folder / "two.gguf");
  Streaming* stays = model->weights().streaming();
  ASSERT_NE(stays, nullptr);
  const int64_t all = stays->counts().resident_bytes;
  EXPECT_EQ(all, stays->plan().pass_bytes) << "there was room for all";
  const auto texts = read_calibration(posix_env(), text, *open(base), 200, 48, ledger).value().texts;
  const auto answers = std::move(Answers::make(*open(base), texts, ops, ledger)).value();
  const auto loss = [&] { return answers.compare(*model, nullptr, ops, ledger)->kl; };
  stays->keep(all / 2);
  EXPECT_LE(stays->counts().resident_bytes, all / 2);
  const double half = loss();
  EXPECT_LT(half, none);
  EXPECT_GT(half, two);
  stays->keep(0);
  EXPECT_EQ(stays->counts().resident_bytes, 0);
  EXPECT_DOUBLE_EQ(loss(), none);
  stays->keep(all);
  EXPECT_DOUBLE_EQ(loss(), two);
  const int64_t used = ledger.used();
  ASSERT_TRUE(ledger.set_limit(used - all / 3).ok()) << "blocks are given back, the worthless first";
  EXPECT_LT(stays->counts().resident_bytes, all);
  EXPECT_EQ(run("q4_0", folder / "again.gguf").code(), Code::ok) << "of the original";
  base = folder / "two.gguf";
  EXPECT_EQ(run("q4_0", folder / "third.gguf").code(), Code::unsupported);
}

TEST_F(Method, wanda_drops_what_meets_little) {
  wide();
  ASSERT_TRUE(run("wanda:share=0.25+f32", folder / "a.gguf").ok());
  ASSERT_TRUE(run("wanda:two_of_four=1+f32", folder / "b.gguf").ok());
  ASSERT_TRUE(run("wanda:share=0.5,group=16+f32", folder / "c.gguf").ok());
  const auto zeros = [&](const char* name, size_t run) {  // runs of zeros that begin where such a run may
    const auto model = open(folder / name);
    const WeightPin pin = model->weights().pin(model->weights().find("blk.0.ffn_up"), 0).value();
    const auto* values = reinterpret_cast<const float*>((*pin).bytes.data());
    size_t count = 0;
    for (size_t i = 0; i < 256 * 256; i += run)
      count += size_t(std::all_of(values + i, values + i + run, [](float one) { return one == 0; }));
    return count;
  };
  EXPECT_EQ(zeros("a.gguf", 1), 256u * 64);
  EXPECT_EQ(zeros("b.gguf", 1), 256u * 128);
  EXPECT_EQ(zeros("c.gguf", 16), 256u * 8);
  const double by_share = divergence(folder / "a.gguf");
  EXPECT_LT(by_share, divergence(folder / "b.gguf"));
  EXPECT_EQ(run("wanda:two_of_four=1,group=4+f32", folder / "d.gguf").code(), Code::invalid);
}

TEST_F(Method, lorc_gives_back_what_few_directions_hold) {
  wide();
  const auto loss = [&](const std::string& recipe) {
    EXPECT_TRUE(run(recipe, folder / (recipe + ".gguf")).ok());
    return divergence(folder / (recipe + ".gguf"));
  };
  const double plain = loss("q2_k"), few = loss("q2_k+lorc");
  EXPECT_LT(few, plain);
  EXPECT_LT(loss("q2_k+lorc:rank=128"), 0.5 * few);
  const Gguf made = head("q2_k+lorc.gguf");
  EXPECT_EQ(made.tensor("blk.0.ffn_up.weight.lora_a")->shape, (std::vector<int64_t>{256, 4}));
  EXPECT_EQ(made.tensor("blk.0.ffn_up.weight.lora_b")->shape, (std::vector<int64_t>{4, 256}));
}

}  // namespace
}  // namespace varve
