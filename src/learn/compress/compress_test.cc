// Recipes, targets, calibration, and what is refused.
#include "learn/compress/compress.h"

#include <algorithm>
#include <filesystem>

#include "learn/compress/rig_test.h"
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"

namespace varve {
namespace {

std::string message(auto result) {
  return result.ok() ? "" : std::string(std::move(result).status().message());
}

struct Compress : testing::Test, CompressRig {};

TEST_F(Compress, writes_what_each_format_takes) {
  wide();
  const auto report = run("q4_k", folder / "a.gguf").value();
  for (const CompressedWeight& one : report.weights) {
    EXPECT_EQ(one.to, "q4_k") << one.role;
    EXPECT_EQ(one.bytes, int64_t(one.rows) * one.cols / 256 * 144);
  }
  EXPECT_EQ(report.weights.size(), 9u) << "seven of the layer, the table and the head";
  EXPECT_NEAR(report.bits(), 4.5, 0.2);
}

TEST_F(Compress, rows_that_are_no_whole_blocks_get_the_next_larger_format) {
  ASSERT_TRUE(write_tiny_model(posix_env(), base, {.layers = 1, .width = 96, .hidden = 224}).ok());
  const auto report = run("q3_k", folder / "a.gguf").value();
  for (const CompressedWeight& one : report.weights) EXPECT_EQ(one.to, "iq4_nl") << one.role;
  open(folder / "a.gguf");
}

TEST_F(Compress, fewer_lose_more_and_calibration_less) {
  wide();
  const auto loss = [&](const std::string& recipe) {
    const std::string out = folder / (recipe + ".gguf");
    EXPECT_EQ(message(run(recipe, out)), "");
    return divergence(out);
  };
  const double plain = loss("q2_k");
  EXPECT_LT(loss("q4_k"), plain);
  EXPECT_LT(loss("q2_k:scale=search"), plain);
  EXPECT_LT(loss("q2_k+gptq"), 0.8 * plain);
}

TEST_F(Compress, a_model_larger_than_its_room_becomes_the_same_file) {
  wide(4);
  EXPECT_GT(bytes(base).size(), 6u << 20) << "beside 8 MiB that products of inputs take";
  ASSERT_EQ(message(run("q4_0+gptq", folder / "a.gguf")), "");
  ASSERT_EQ(message(run("q4_0+gptq", folder / "b.gguf", posix_env(), true, int64_t(14) << 20)), "");
  EXPECT_EQ(bytes(folder / "a.gguf"), bytes(folder / "b.gguf"));
}

TEST_F(Compress, each_expert_is_calibrated_by_the_rows_that_it_gets) {
  wide();
  experts();
  const auto loss = [&](const std::string& recipe, bool calibrate = true) {
    const std::string out = folder / (recipe + (calibrate ? ".gguf" : ".blind.gguf"));
    EXPECT_EQ(message(run(recipe, out, posix_env(), calibrate)), "");
    return divergence(out);
  };
  const auto model = open(base);
  const auto entries = model->weights().entries();
  EXPECT_TRUE(std::any_of(entries.begin(), entries.end(), [](auto& one) { return one.stack == 4; }));
  const double gptq = loss("q2_k+gptq");
  EXPECT_LT(gptq, 0.8 * loss("q2_k"));
  EXPECT_LT(gptq, 0.9 * loss("q2_k+search"));
  EXPECT_LE(run("target=5bpw+gptq", folder / "target.gguf")->bits(), 5.0);
}

TEST_F(Compress, experts_apart_are_the_same_model_and_each_may_have_a_format_of_its_own) {
  wide();
  experts({100, 100, 0, 0});  // the router takes the first two, always
  const std::string apart = folder / "apart.gguf", mixed = folder / "mixed.gguf";
  ASSERT_EQ(message(run("experts", apart)), "");
  EXPECT_EQ(divergence(apart), 0);
  Ledger room(int64_t(256) << 20);
  auto streamed = open_planned_model(posix_env(), apart, room);
  ASSERT_TRUE(streamed.ok()) << std::string(std::move(streamed).status().message());
  EXPECT_EQ((*streamed)->weights().streaming()->plan().routed_bytes, 3 * 4 * 256 * 256 * 4);

  const auto report = run("target=5bpw:measured=0+experts", mixed).value();
  EXPECT_LE(report.bits(), 5.0);
  std::map<char, double> bytes;
  for (const auto& weight : report.weights) {
    if (weight.role.find(".ffn_") != std::string::npos) bytes[weight.role.back()] += double(weight.bytes);
  }
  ASSERT_EQ(bytes.size(), 4u);
  EXPECT_GT(std::min(bytes['0'], bytes['1']), 1.2 * std::max(bytes['2'], bytes['3'])) << "who is never asked";
  const double loss = divergence(mixed);
  ASSERT_EQ(message(run("target=5bpw:measured=0", folder / "stacks.gguf")), "");
  EXPECT_LT(loss, divergence(folder / "stacks.gguf"));
  EXPECT_NE(message(run("search+experts", folder / "no.gguf")).find("first of a recipe"), std::string::npos);
}

TEST_F(Compress, a_target_is_met_and_nearly_used_up) {
  for (const char* recipe : {"target=6bpw:measured=0", "target=6bpw+search"}) {
    const auto report = run(recipe, folder / (std::string(recipe) + ".gguf")).value();
    EXPECT_LE(report.bits(), 6.0);
    EXPECT_GT(report.bits(), 5.5);
  }
  EXPECT_LE(run("target=60KiB", folder / "bytes.gguf")->bytes, 60 << 10);
}

TEST_F(Compress, a_plan_writes_no_model_and_saves_the_reading) {
  const CompressRecipe recipe = parse_compress_recipe("q4_0+search").value();
  CompressOptions options{.model = base, .out = folder / "a.gguf", .calibrate = text, .plan_only = true};
  int read = 0;
  const auto count = [&](std::string_view stage, int64_t, int64_t) { read += stage == "reading the text"; };
  const auto plan = compress_model(posix_env(), options, recipe, threads, ledger, count).value();
  EXPECT_FALSE(std::filesystem::exists(options.out));
  EXPECT_GT(read, 0);
  read = 0, options.plan_only = false;
  EXPECT_EQ(compress_model(posix_env(), options, recipe, threads, ledger, count)->bytes, plan.bytes);
  EXPECT_EQ(read, 0);
}

TEST_F(Compress, says_what_is_wrong) {
  const auto says = [&](const std::string& recipe, const char* words, bool calibrate = true) {
    const std::string error = message(run(recipe, folder / "no.gguf", posix_env(), calibrate));
    EXPECT_NE(error.find(words), std::string::npos) << recipe << ": " << error;
    EXPECT_FALSE(std::filesystem::exists(folder / "no.gguf"));
  };
  says("q9", "'q9' is neither a number format nor a method");
  says("q4_k+q3_k", "one number format or target");
  says("q4_k:scale=other", "unknown option 'scale'");
  says("q4_k++gptq", "an empty word");
  says("q4_k+gptq:damp=7", "damp=7 is out of range");
  says("target=4", "neither bits a weight");
  says("target=-1bpw", "neither bits a weight");
  says("target=1bpw", "the least that it can be is");
  says("q4_k+experts", "has no stacks of experts");
  says("q4_k+gptq", "needs a text to calibrate by", false);
  says("target=4bpw:measured=1", "need a text to measure by", false);
}

TEST_F(Compress, refuses_a_result_that_is_there_and_texts_that_say_nothing) {
  EXPECT_NE(message(run("q4_k", base)).find("is there already"), std::string::npos);
  std::ofstream(text) << "Hi.";
  EXPECT_NE(message(run("q4_0+search", folder / "a.gguf")).find("too few to calibrate by"),
            std::string::npos);
  std::ofstream(text) << "";
  EXPECT_NE(message(run("q4_0+search", folder / "a.gguf")).find("is empty"), std::string::npos);
  text = folder / "absent";
  EXPECT_NE(message(run("q4_0+search", folder / "a.gguf")), "");
  text = base;
  EXPECT_NE(message(run("q4_0+search", folder / "b.gguf")), "") << "a model is no text";
  base = folder / "absent.gguf";
  EXPECT_NE(message(run("q4_0", folder / "a.gguf")), "");
}

TEST_F(Compress, another_recipe_begins_anew) {
  const CompressRecipe recipe = parse_compress_recipe("q4_0+search").value();
  const CompressOptions options{
      .model = base, .out = folder / "a.gguf", .calibrate = text, .plan_only = true};
  ASSERT_TRUE(compress_model(posix_env(), options, recipe, threads, ledger, [](auto, auto, auto) {}).ok());
  ASSERT_TRUE(run("q5_0+search", folder / "a.gguf").ok());
  ASSERT_TRUE(run("q5_0+search", folder / "b.gguf").ok());
  EXPECT_EQ(bytes(folder / "a.gguf"), bytes(folder / "b.gguf"));
}

}  // namespace
}  // namespace varve
