#include "tests/reference/random_model.h"

#include <cmath>
#include <list>

#include "core/base/rng.h"

namespace varve::reference {
namespace {

class Maker {
 public:
  Maker(const RandomModel& model, uint64_t seed) : model_(model), seed_(seed) {}

  bool is(const char* families) const {
    return (" " + std::string(families) + " ").find(" " + model_.architecture + " ") != std::string::npos;
  }
  void matrix(const std::string& name, int32_t rows, int32_t cols, int32_t stack = 1) {
    std::vector<int64_t> shape{cols, rows};
    if (stack > 1) shape.push_back(stack);
    tensor(name + ".weight", shape, 0, 1.4 / std::sqrt(double(cols)));
    if (model_.biases && stack == 1 && name != "token_embd" && name != "output" && name != "position_embd" &&
        name.find("gate_inp") == std::string::npos && name.find("shexp") == std::string::npos) {
      tensor(name + ".bias", {rows}, 0, 0.3);
    }
  }
  void norm(const std::string& name, int32_t width) {
    if (is("olmo")) return;
    tensor(name + ".weight", {width}, 1, 0.2);
    if (is("gpt2 starcoder starcoder2 codeshell gptneox phi2 stablelm falcon nemotron orion")) {
      tensor(name + ".bias", {width}, 0, 0.2);
    }
  }
  void head_norms(const std::string& at) {
    const RandomModel& m = model_;
    const int32_t all = is("olmo2 olmoe") ? m.heads : 1, keys = is("olmo2 olmoe") ? m.kv_heads : 1;
    if (m.norm_of_each_head) {
      tensor(at + "attn_q_norm.weight", {m.key_dim, m.heads}, 1, 0.2);
      tensor(at + "attn_k_norm.weight", {m.key_dim, m.kv_heads}, 1, 0.2);
    } else if (is("qwen3 qwen3moe gemma3 exaone4 hunyuan-dense hunyuan-moe dots1 glm4moe olmo2 olmoe")) {
      norm(at + "attn_q_norm", all * m.key_dim);
      norm(at + "attn_k_norm", keys * m.key_dim);
    }
  }
  void norms(const std::string& at) {
    const RandomModel& m = model_;
    if (!is("olmo2 exaone4")) norm(at + "attn_norm", m.width);
    if (m.two_norms) norm(at + "attn_norm_2", m.width);
    if (is("gemma2 gemma3 olmo2 exaone4 glm4")) {
      norm(at + "post_attention_norm", m.width);
      norm(at + "post_ffw_norm", m.width);
    }
    const bool alone = is("olmo2 exaone4 command-r cohere2 falcon phi2") || m.one_norm;
    if (!alone)
      norm(at + (is("seed_oss glm4moe") ? "post_attention_norm"
                 : is("dbrx")           ? "attn_output_norm"
                                        : "ffn_norm"),
           m.width);
  }
  void tensor(const std::string& name, std::vector<int64_t> shape, double mean, double deviation) {
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    std::vector<float>& values = held_.emplace_back(size_t(count));
    for (float& value : values) {
      value = float(mean + deviation * random_normal({seed_, 0, Site::test}, drawn_++));
    }
    writer_.add(name, 0, std::move(shape), std::as_bytes(std::span<const float>(values)));
  }

  void metadata();
  void attention(const std::string& at);
  void dense(const std::string& at);
  void mixture(const std::string& at);
  Status write(Env& env, const std::string& path);

 private:
  const RandomModel& model_;
  uint64_t seed_, drawn_ = 0;
  std::list<std::vector<float>> held_;
  GgufWriter writer_;
};

void Maker::metadata() {
  const RandomModel& m = model_;
  std::map<std::string, GgufValue> all = {
      {"context_length", count_value(m.context)},
      {"embedding_length", count_value(m.width)},
      {"block_count", count_value(m.layers)},
      {"feed_forward_length", count_value(m.hidden)},
      {"attention.head_count", count_value(m.heads)},
      {"attention.head_count_kv", count_value(m.kv_heads)},
      {"attention.key_length", count_value(m.key_dim)},
      {"attention.value_length", count_value(m.value_dim)},
      {"rope.freq_base", real_value(3000)},
  };
  const bool layer_norm =
      is("gpt2 starcoder starcoder2 codeshell gptneox phi2 stablelm falcon nemotron orion olmo "
         "command-r cohere2 dbrx");
  all[layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"] = real_value(1e-5);
  if (m.experts > 0) {
    all["expert_count"] = count_value(m.experts);
    all["expert_used_count"] = count_value(m.experts_used);
    all["expert_feed_forward_length"] = count_value(m.hidden);
    if (m.leading_dense > 0) all["leading_dense_block_count"] = count_value(m.leading_dense);
    if (m.shared_hidden > 0) all["expert_shared_feed_forward_length"] = count_value(m.shared_hidden);
  }
  for (const auto& [key, value] : m.more) all[key] = value;
  writer_.set("general.architecture", m.architecture);
  for (const auto& [key, value] : all) writer_.set(m.architecture + "." + key, value);
}

void Maker::attention(const std::string& at) {
  const RandomModel& m = model_;
  const int32_t query = m.heads * m.key_dim, key = m.kv_heads * m.key_dim, value = m.kv_heads * m.value_dim;
  norms(at);
  head_norms(at);
  if (m.fused_qkv) {
    matrix(at + "attn_qkv", query + key + value, m.width);
  } else {
    matrix(at + "attn_q", query, m.width);
    matrix(at + "attn_k", key, m.width);
    matrix(at + "attn_v", value, m.width);
  }
  matrix(at + "attn_output", m.width, m.heads * m.value_dim);
}

void Maker::dense(const std::string& at) {
  const RandomModel& m = model_;
  const bool ungated = is("gpt2 starcoder starcoder2 codeshell gptneox phi2 falcon nemotron arcee");
  const bool fused = is("phi3 chatglm glm4");
  const int32_t hidden = is("qwen") ? m.hidden / 2 : m.hidden;
  if (!fused && !ungated) matrix(at + "ffn_gate", hidden, m.width);
  matrix(at + "ffn_up", fused ? 2 * hidden : hidden, m.width);
  matrix(at + "ffn_down", m.width, hidden);
}

void Maker::mixture(const std::string& at) {
  const RandomModel& m = model_;
  matrix(at + "ffn_gate_inp", m.experts, m.width);
  if (m.fused_experts) {
    matrix(at + "ffn_gate_up_exps", 2 * m.hidden, m.width, m.experts);
  } else {
    matrix(at + "ffn_gate_exps", m.hidden, m.width, m.experts);
    matrix(at + "ffn_up_exps", m.hidden, m.width, m.experts);
  }
  matrix(at + "ffn_down_exps", m.width, m.hidden, m.experts);
  if (is("dots1 glm4moe ernie4_5-moe")) tensor(at + "exp_probs_b.bias", {m.experts}, 0, 0.3);
  if (m.shared_hidden == 0) return;
  matrix(at + "ffn_gate_shexp", m.shared_hidden, m.width);
  matrix(at + "ffn_up_shexp", m.shared_hidden, m.width);
  matrix(at + "ffn_down_shexp", m.width, m.shared_hidden);
  if (is("qwen2moe")) tensor(at + "ffn_gate_inp_shexp.weight", {m.width}, 0, 0.2);
}

Status Maker::write(Env& env, const std::string& path) {
  const RandomModel& m = model_;
  metadata();
  tensor("token_embd.weight", {m.width, m.vocabulary}, 0,
         is("gemma2 gemma3 gemma") ? 1 / std::sqrt(m.width) : 1);
  if (is("gpt2 starcoder")) tensor("position_embd.weight", {m.width, m.context}, 0, 0.5);
  norm("output_norm", m.width);
  if (!m.tied) matrix("output", m.vocabulary, m.width);
  if (is("phi2")) tensor("output.bias", {m.vocabulary}, 0, 0.3);
  if (m.rope_factors) tensor("rope_freqs.weight", {m.key_dim / 2}, 2, 0.3);
  for (int32_t layer = 0; layer < m.layers; ++layer) {
    const std::string at = "blk." + std::to_string(layer) + ".";
    attention(at);
    if (m.experts > 0 && layer >= m.leading_dense && (layer + 1) % m.every == 0) {
      mixture(at);
    } else {
      dense(at);
    }
  }
  if (m.more.count("nextn_predict_layers"))
    tensor("blk." + std::to_string(m.layers - 1) + ".nextn.enorm.weight", {3}, 0, 1);
  return writer_.write(env, path);
}

}  // namespace

Status write_random_model(const RandomModel& model, uint64_t seed, Env& env, const std::string& path) {
  return Maker(model, seed).write(env, path);
}

}  // namespace varve::reference
