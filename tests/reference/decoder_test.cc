// The decoder against the slow transformer beside it, on random models of every family and every switch.
#include "tests/reference/random_model.h"
#include "tests/reference/reference_model.h"
#include "tests/support/memory_env.h"
#include "tests/support/run_model.h"

namespace varve {
namespace {

using reference::count_value;
using reference::RandomModel;
using reference::real_value;
using reference::text_value;

struct Case {
  const char* name;
  RandomModel model;
};
std::ostream& operator<<(std::ostream& out, const Case& one) {
  return out << one.name;
}

std::vector<float> flat(const reference::Table& table) {
  std::vector<float> values;
  for (const reference::Vector& row : table) values.insert(values.end(), row.begin(), row.end());
  return values;
}

class AgainstTheReference : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const Status written = reference::write_random_model(GetParam().model, 7, env_, path_);
    ASSERT_TRUE(written.ok()) << written.text();
  }
  MemoryEnv env_;
  const std::string path_ = "random.gguf";
};

TEST_P(AgainstTheReference, LogitsAgreeHoweverTheyAreComputed) {
  ModelRun run(path_, 2, env_);
  const Tokens tokens = golden_tokens(80, run.vocabulary());
  const Logits whole = run.logits(tokens);
  const double error = nmse(whole, flat(reference::Model(env_, path_).logits(tokens)));
  std::printf("             NMSE %.2e\n", error);
  EXPECT_LT(error, 1e-9);
  for (int32_t chunk : {1, 7, 65}) EXPECT_EQ(run.logits(tokens, chunk), whole) << "in chunks of " << chunk;
}

TEST_P(AgainstTheReference, ABatchComputesWhatEachSequenceComputesAlone) {
  ModelRun run(path_, 2, env_);
  std::vector<Tokens> sequences;
  for (uint32_t i = 0; i < 5; ++i) {
    sequences.push_back(golden_tokens(int32_t(3 + 17 * i), run.vocabulary(), 99 + i));
  }
  const auto together = run.logits(sequences, 11);
  for (size_t i = 0; i < sequences.size(); ++i) EXPECT_EQ(together[i], run.logits(sequences[i])) << i;
}

TEST_P(AgainstTheReference, HiddenStatesAgree) {
  ModelRun run(path_, 1, env_);
  const Tokens tokens = golden_tokens(20, run.vocabulary());
  const auto known = flat({reference::Model(env_, path_).hidden(tokens).back()});
  EXPECT_LT(nmse(run.hidden(tokens), known), 1e-9);
  const auto first = flat({reference::Model(env_, path_).hidden(tokens, 1).back()});
  EXPECT_LT(nmse(run.hidden(tokens, 1), first), 1e-9);
  const Logits whole = run.logits(tokens);
  EXPECT_EQ(run.head(run.hidden(tokens)), Logits(whole.end() - run.vocabulary(), whole.end()));
}

GgufValue flag_value(bool value) {
  return {GgufType::boolean, false, value};
}
GgufValue pattern(std::vector<int64_t> layers) {
  return {GgufType::boolean, true, std::move(layers)};
}

const Case kCases[] = {
    {"llama", {.architecture = "llama"}},
    {"llama_tied", {.architecture = "llama", .tied = true}},
    {"llama_unlike_dims", {.architecture = "llama", .key_dim = 12, .value_dim = 10}},
    {"llama_biases", {.architecture = "llama", .biases = true}},
    {"llama_fused", {.architecture = "llama", .fused_qkv = true}},
    {"llama_rope_factors", {.architecture = "llama", .rope_factors = true}},
    {"llama_half_rotary", {.architecture = "llama", .more = {{"rope.dimension_count", count_value(4)}}}},
    {"llama_linear",
     {.architecture = "llama",
      .more = {{"rope.scaling.type", text_value("linear")}, {"rope.scaling.factor", real_value(4)}}}},
    {"llama_yarn",
     {.architecture = "llama",
      .key_dim = 32,
      .value_dim = 32,
      .more = {{"rope.scaling.type", text_value("yarn")},
               {"rope.scaling.factor", real_value(4)},
               {"rope.freq_base", real_value(20)},
               {"rope.scaling.original_context_length", count_value(300)}}}},
    {"llama_window", {.architecture = "llama", .more = {{"attention.sliding_window", count_value(9)}}}},
    {"llama_experts", {.architecture = "llama", .experts = 5, .experts_used = 2}},
    {"mistral3",
     {.architecture = "mistral3",
      .more = {{"attention.temperature_scale", real_value(0.5)},
               {"rope.scaling.original_context_length", count_value(20)}}}},
    {"mistral3_yarn",
     {.architecture = "mistral3",
      .key_dim = 32,
      .value_dim = 32,
      .more = {{"rope.scaling.type", text_value("yarn")},
               {"rope.scaling.factor", real_value(4)},
               {"rope.freq_base", real_value(20)},
               {"rope.scaling.original_context_length", count_value(300)}}}},
    {"qwen2", {.architecture = "qwen2", .biases = true, .tied = true}},
    {"qwen3", {.architecture = "qwen3"}},
    {"qwen3moe", {.architecture = "qwen3moe", .experts = 6, .experts_used = 3}},
    {"qwen3moe_fused", {.architecture = "qwen3moe", .experts = 6, .experts_used = 3, .fused_experts = true}},
    {"qwen3moe_all", {.architecture = "qwen3moe", .experts = 3, .experts_used = 3}},
    {"gemma2",
     {.architecture = "gemma2", .tied = true, .more = {{"attention.sliding_window", count_value(16)}}}},
    {"gemma3",
     {.architecture = "gemma3",
      .layers = 7,
      .tied = true,
      .more = {{"attention.sliding_window", count_value(16)},
               {"rope.scaling.factor", real_value(8)},
               {"rope.freq_base_swa", real_value(500)}}}},
    {"gemma3_pattern",
     {.architecture = "gemma3",
      .layers = 3,
      .more = {{"attention.sliding_window", count_value(5)},
               {"attention.sliding_window_pattern", pattern({0, 1, 0})}}}},
    {"phi3", {.architecture = "phi3", .fused_qkv = true}},
    {"phi3_split", {.architecture = "phi3"}},
    {"olmo2", {.architecture = "olmo2"}},
    {"olmo3",
     {.architecture = "olmo2",
      .layers = 5,
      .key_dim = 32,
      .value_dim = 32,
      .more = {{"attention.sliding_window", count_value(16)},
               {"rope.scaling.type", text_value("yarn")},
               {"rope.scaling.factor", real_value(4)},
               {"rope.freq_base", real_value(20)},
               {"rope.scaling.original_context_length", count_value(300)}}}},
    {"gpt2", {.architecture = "gpt2", .kv_heads = 6, .fused_qkv = true, .biases = true, .tied = true}},
    {"arcee", {.architecture = "arcee", .rope_factors = true}},
    {"baichuan", {.architecture = "baichuan"}},
    {"bailingmoe",
     {.architecture = "bailingmoe",
      .experts = 4,
      .experts_used = 2,
      .shared_hidden = 40,
      .more = {{"expert_weights_scale", real_value(1.5)}, {"expert_weights_norm", flag_value(true)}}}},
    {"chatglm",
     {.architecture = "chatglm", .fused_qkv = true, .more = {{"rope.dimension_count", count_value(4)}}}},
    {"codeshell", {.architecture = "codeshell", .fused_qkv = true, .biases = true}},
    {"cohere2",
     {.architecture = "cohere2",
      .layers = 5,
      .tied = true,
      .more = {{"attention.sliding_window", count_value(16)}, {"logit_scale", real_value(0.25)}}}},
    {"command_r", {.architecture = "command-r", .tied = true, .more = {{"logit_scale", real_value(0.0625)}}}},
    {"command_r_plus", {.architecture = "command-r", .tied = true, .norm_of_each_head = true}},
    {"dbrx",
     {.architecture = "dbrx",
      .experts = 4,
      .experts_used = 2,
      .fused_qkv = true,
      .more = {{"attention.clamp_kqv", real_value(1)}}}},
    {"deepseek",
     {.architecture = "deepseek", .experts = 4, .experts_used = 2, .shared_hidden = 160, .leading_dense = 1}},
    {"dots1",
     {.architecture = "dots1",
      .experts = 6,
      .experts_used = 2,
      .shared_hidden = 80,
      .leading_dense = 1,
      .more = {{"expert_weights_scale", real_value(2.5)}, {"expert_weights_norm", flag_value(true)}}}},
    {"ernie4_5", {.architecture = "ernie4_5", .tied = true}},
    {"ernie4_5_moe",
     {.architecture = "ernie4_5-moe",
      .layers = 5,
      .experts = 4,
      .experts_used = 2,
      .shared_hidden = 24,
      .leading_dense = 1,
      .every = 2,
      .more = {{"interleave_moe_layer_step", count_value(2)}}}},
    {"exaone", {.architecture = "exaone", .rope_factors = true}},
    {"exaone4", {.architecture = "exaone4"}},
    {"exaone4_windows",
     {.architecture = "exaone4",
      .layers = 3,
      .more = {{"attention.sliding_window", count_value(9)},
               {"attention.sliding_window_pattern", pattern({1, 1, 0})}}}},
    {"falcon7", {.architecture = "falcon", .kv_heads = 1, .fused_qkv = true, .tied = true}},
    {"falcon40", {.architecture = "falcon", .fused_qkv = true, .two_norms = true}},
    {"gemma", {.architecture = "gemma", .key_dim = 12, .value_dim = 12, .tied = true}},
    {"glm4", {.architecture = "glm4", .biases = true, .more = {{"rope.dimension_count", count_value(4)}}}},
    {"glm4moe",
     {.architecture = "glm4moe",
      .layers = 4,
      .experts = 4,
      .experts_used = 2,
      .shared_hidden = 80,
      .leading_dense = 1,
      .biases = true,
      .more = {{"expert_shared_count", count_value(1)},
               {"expert_weights_norm", flag_value(true)},
               {"nextn_predict_layers", count_value(1)}}}},
    {"gptneox",
     {.architecture = "gptneox",
      .kv_heads = 6,
      .fused_qkv = true,
      .biases = true,
      .more = {{"rope.dimension_count", count_value(4)}}}},
    {"gptneox_in_turn",
     {.architecture = "gptneox",
      .kv_heads = 6,
      .fused_qkv = true,
      .biases = true,
      .more = {{"use_parallel_residual", flag_value(false)}}}},
    {"granite",
     {.architecture = "granite",
      .more = {{"attention.scale", real_value(0.1)},
               {"embedding_scale", real_value(6)},
               {"residual_scale", real_value(0.3)},
               {"logit_scale", real_value(8)}}}},
    {"granite_no_rope", {.architecture = "granite", .more = {{"rope.scaling.finetuned", flag_value(false)}}}},
    {"granitemoe",
     {.architecture = "granitemoe",
      .experts = 4,
      .experts_used = 2,
      .shared_hidden = 24,
      .more = {{"residual_scale", real_value(0.3)}}}},
    {"hunyuan_dense", {.architecture = "hunyuan-dense"}},
    {"hunyuan_moe", {.architecture = "hunyuan-moe", .experts = 4, .experts_used = 2, .shared_hidden = 40}},
    {"internlm2", {.architecture = "internlm2"}},
    {"minicpm", {.architecture = "minicpm"}},
    {"nemotron", {.architecture = "nemotron", .more = {{"rope.dimension_count", count_value(4)}}}},
    {"olmo", {.architecture = "olmo", .more = {{"attention.clamp_kqv", real_value(1)}}}},
    {"olmoe", {.architecture = "olmoe", .kv_heads = 6, .experts = 6, .experts_used = 3}},
    {"orion", {.architecture = "orion"}},
    {"phi2",
     {.architecture = "phi2",
      .kv_heads = 6,
      .fused_qkv = true,
      .biases = true,
      .more = {{"rope.dimension_count", count_value(4)}}}},
    {"qwen", {.architecture = "qwen", .kv_heads = 6, .fused_qkv = true}},
    {"qwen2moe", {.architecture = "qwen2moe", .experts = 6, .experts_used = 2, .shared_hidden = 40}},
    {"qwen2vl", {.architecture = "qwen2vl", .biases = true}},
    {"seed_oss", {.architecture = "seed_oss", .biases = true}},
    {"smollm3", {.architecture = "smollm3", .layers = 5, .tied = true}},
    {"stablelm", {.architecture = "stablelm", .more = {{"rope.dimension_count", count_value(2)}}}},
    {"stablelm_12", {.architecture = "stablelm", .norm_of_each_head = true, .one_norm = true}},
    {"starcoder", {.architecture = "starcoder", .kv_heads = 1, .fused_qkv = true, .biases = true}},
    {"starcoder2", {.architecture = "starcoder2", .biases = true, .tied = true}},
    {"xverse", {.architecture = "xverse"}},
};

INSTANTIATE_TEST_SUITE_P(Random, AgainstTheReference, ::testing::ValuesIn(kCases),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace varve
