#include "tests/reference/reference_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/check.h"
#include "math/codec/codec.h"

namespace varve::reference {
namespace {

double dot(const Vector& a, const Vector& b) {
  CHECK(a.size() == b.size(), "lengths of a dot product");
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

Vector times(const Table& matrix, const Vector& x) {
  Vector y;
  for (const Vector& row : matrix) y.push_back(dot(row, x));
  return y;
}

void add(Vector& to, const Vector& from, double factor = 1) {
  CHECK(to.size() == from.size(), "lengths of a sum");
  for (size_t i = 0; i < to.size(); ++i) to[i] += factor * from[i];
}

Vector softmax(Vector x) {
  const double most = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (double& value : x) sum += value = std::exp(value - most);
  for (double& value : x) value /= sum;
  return x;
}

Vector part(const Vector& x, size_t first, size_t count) {
  return Vector(x.begin() + long(first), x.begin() + long(first + count));
}

std::vector<Table> read_tensor(const GgufTensor& tensor, std::span<const std::byte> file) {
  auto codec = codec_of_gguf(tensor.type);
  CHECK(codec.ok(), "no codec");
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  (*codec)->decode(file.subspan(size_t(tensor.offset), size_t(tensor.bytes)), values);
  const size_t cols = size_t(tensor.shape[0]), rows = tensor.shape.size() > 1 ? size_t(tensor.shape[1]) : 1;
  std::vector<Table> stack;
  for (size_t at = 0; at < values.size(); at += cols) {
    if (at % (rows * cols) == 0) stack.emplace_back();
    stack.back().emplace_back(values.begin() + long(at), values.begin() + long(at + cols));
  }
  return stack;
}

}  // namespace

Model::Model(Env& env, const std::string& path) {
  auto mapping = env.map(path);
  CHECK(mapping.ok(), "no such model");
  auto gguf = Gguf::parse((*mapping)->bytes());
  CHECK(gguf.ok(), "not a GGUF file");
  family_ = *gguf->string("general.architecture");
  for (const auto& [key, value] : gguf->metadata()) {
    if (!key.starts_with(family_ + ".")) continue;
    const std::string name = key.substr(family_.size() + 1);
    if (auto text = gguf->string(key); text.ok()) texts_[name] = *text;
    if (auto one = gguf->number(key); one.ok()) numbers_[name] = *one;
    if (auto flag = gguf->boolean(key); flag.ok()) numbers_[name] = *flag;
    if (auto list = gguf->integers(key); list.ok()) lists_[name].assign(list->begin(), list->end());
  }
  for (const GgufTensor& tensor : gguf->tensors()) {
    tensors_[tensor.name] = read_tensor(tensor, (*mapping)->bytes());
  }
  embedding_ = table("token_embd.weight");
  width_ = int(number("embedding_length", 0));
  layers_ = int(number("block_count", 0) - number("nextn_predict_layers", 0));
  heads_ = int(number("attention.head_count", 0));
  kv_heads_ = int(number("attention.head_count_kv", heads_));
  key_dim_ = int(number("attention.key_length", width_ / heads_));
  value_dim_ = int(number("attention.value_length", width_ / heads_));
}

double Model::number(const std::string& key, double absent) const {
  auto found = numbers_.find(key);
  return found == numbers_.end() ? absent : found->second;
}

bool Model::is(const char* families) const {
  return (" " + std::string(families) + " ").find(" " + family_ + " ") != std::string::npos;
}

Vector Model::vector(const std::string& name) const {
  auto found = tensors_.find(name);
  return found == tensors_.end() ? Vector() : found->second.at(0).at(0);
}

std::vector<Table> Model::tables(const std::string& name) const {
  auto found = tensors_.find(name);
  return found == tensors_.end() ? std::vector<Table>() : found->second;
}

Table Model::table(const std::string& name) const {
  auto all = tables(name);
  return all.empty() ? Table() : all[0];
}

Vector Model::norm(const Vector& x, const std::string& name) const {
  return norm(x, vector(name + ".weight"), vector(name + ".bias"));
}

Vector Model::norm(const Vector& x, const Vector& weight, const Vector& bias) const {
  const bool layer_norm = numbers_.count("attention.layer_norm_epsilon") > 0 &&
                          numbers_.count("attention.layer_norm_rms_epsilon") == 0;
  const double n = double(x.size());
  const double mean = layer_norm ? std::accumulate(x.begin(), x.end(), 0.0) / n : 0;
  double squares = 0;
  for (double value : x) squares += (value - mean) * (value - mean);
  const double epsilon =
      number(layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 0);
  Vector out;
  for (size_t i = 0; i < x.size(); ++i) {
    const double unit = (x[i] - mean) / std::sqrt(squares / n + epsilon);
    out.push_back(unit * (weight.empty() ? 1 : weight.at(i)) + (bias.empty() ? 0 : bias.at(i)));
  }
  return out;
}

Vector Model::project(const Vector& x, const std::string& name) const {
  Vector y = times(table(name + ".weight"), x);
  const Vector bias = vector(name + ".bias");
  if (!bias.empty()) add(y, bias);
  return y;
}

int Model::window(int layer) const {
  const int size = int(number("attention.sliding_window", 0));
  if (size == 0) return 1 << 30;
  if (is("exaone4") && !lists_.count("attention.sliding_window_pattern")) return 1 << 30;
  int period = is("gemma2") ? 2 : is("gemma3") ? 6 : is("olmo2 cohere2") ? 4 : 0;
  period = int(number("attention.sliding_window_pattern", period));
  auto list = lists_.find("attention.sliding_window_pattern");
  const bool windowed = list != lists_.end() ? list->second.at(size_t(layer)) != 0
                                             : period == 0 || layer % period != period - 1;
  return windowed ? size : 1 << 30;
}

void Model::rotate(Vector& heads, int count, int position, int layer) const {
  if (is("gpt2 starcoder") || number("rope.scaling.finetuned", 1) == 0) return;
  if (is("smollm3") && layer % 4 == 3) return;
  const bool somewhere = is("cohere2") || (is("exaone4") && lists_.count("attention.sliding_window_pattern"));
  if (somewhere && window(layer) == 1 << 30) return;
  const bool local = is("gemma3 olmo2") && window(layer) < 1 << 30;
  const int dim = int(heads.size()) / count, turning = int(number("rope.dimension_count", dim));
  const double base =
      local && is("gemma3") ? number("rope.freq_base_swa", 10000) : number("rope.freq_base", 10000);
  const double factor = local ? 1 : number("rope.scaling.factor", 1);
  const auto kind = texts_.find("rope.scaling.type");
  const bool yarn = !local && kind != texts_.end() && kind->second == "yarn";
  const double original = number("rope.scaling.original_context_length", number("context_length", 0));
  auto pair_turning = [&](double turns) {  // within the original context
    return turning * std::log(original / (turns * 2 * M_PI)) / (2 * std::log(base));
  };
  const double low = std::max(0.0, std::floor(pair_turning(32)));
  const double high = std::min(turning - 1.0, std::ceil(pair_turning(1)));
  const double magnitude = yarn && !is("mistral3") ? 1 + 0.1 * std::log(factor) : 1;
  const Vector factors = local ? Vector() : vector("rope_freqs.weight");
  const bool adjacent =
      is("llama mistral3 arcee baichuan bailingmoe chatglm cohere2 command-r deepseek ernie4_5 ernie4_5-moe "
         "glm4 "
         "granite granitemoe internlm2 minicpm olmo smollm3 xverse");
  for (int head = 0; head < count; ++head) {
    for (int i = 0; i < turning / 2; ++i) {
      double speed = std::pow(base, -2.0 * i / turning);
      if (!factors.empty()) speed /= factors.at(size_t(i));
      const double slow = !yarn ? 1 : std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
      const double angle = position * (speed * (1 - slow) + speed / factor * slow);
      double& a = heads.at(size_t(head * dim + (adjacent ? 2 * i : i)));
      double& b = heads.at(size_t(head * dim + (adjacent ? 2 * i + 1 : i + turning / 2)));
      const double was = a;
      a = magnitude * (was * std::cos(angle) - b * std::sin(angle));
      b = magnitude * (was * std::sin(angle) + b * std::cos(angle));
    }
  }
}

void Model::norm_heads(Vector& heads, int count, const std::string& name) const {
  if (!tensors_.count(name + ".weight")) return;
  const Table weights = table(name + ".weight");
  const size_t dim = weights[0].size();  // of a head, or of all
  CHECK(dim == heads.size() || dim * size_t(count) == heads.size(), "width of a head's norm");
  for (size_t at = 0; at < heads.size(); at += dim) {
    const Vector normed = norm(part(heads, at, dim), weights[weights.size() > 1 ? at / dim : 0], {});
    std::copy(normed.begin(), normed.end(), heads.begin() + long(at));
  }
}

Table Model::attention(const Table& x, int layer) const {
  const std::string at = "blk." + std::to_string(layer) + ".";
  const size_t q = size_t(heads_) * key_dim_, k = size_t(kv_heads_) * key_dim_,
               v = size_t(kv_heads_) * value_dim_;
  double scale = number("attention.scale", 0);
  if (scale == 0) scale = 1 / std::sqrt(double(key_dim_));
  const double cap = is("gemma2") ? number("attn_logit_softcapping", 50) : 0;
  Table queries, keys, values, out;
  for (size_t t = 0; t < x.size(); ++t) {
    if (tensors_.count(at + "attn_qkv.weight")) {
      const Vector all = project(x[t], at + "attn_qkv");
      queries.push_back(part(all, 0, q));
      keys.push_back(part(all, q, k));
      values.push_back(part(all, q + k, v));
    } else {
      queries.push_back(project(x[t], at + "attn_q"));
      keys.push_back(project(x[t], at + "attn_k"));
      values.push_back(project(x[t], at + "attn_v"));
    }
    const double most = is("olmo dbrx") ? number("attention.clamp_kqv", 0) : 0;
    for (Vector* one : {&queries[t], &keys[t], &values[t]}) {
      for (double& value : *one) value = most > 0 ? std::clamp(value, -most, most) : value;
    }
    const bool late = is("hunyuan-dense hunyuan-moe");
    if (late) rotate(queries[t], heads_, int(t), layer), rotate(keys[t], kv_heads_, int(t), layer);
    norm_heads(queries[t], heads_, at + "attn_q_norm");
    norm_heads(keys[t], kv_heads_, at + "attn_k_norm");
    if (!late) rotate(queries[t], heads_, int(t), layer), rotate(keys[t], kv_heads_, int(t), layer);
    if (is("mistral3") && number("attention.temperature_scale", 0) > 0) {
      const double octave = std::floor(double(t) / number("rope.scaling.original_context_length", 1));
      for (double& one : queries[t])
        one *= 1 + number("attention.temperature_scale", 0) * std::log(1 + octave);
    }
    Vector gathered;
    for (int head = 0; head < heads_; ++head) {
      const size_t from = size_t(head / (heads_ / kv_heads_));
      const size_t first = size_t(std::max(0, int(t) - window(layer) + 1));
      Vector scores;
      for (size_t s = first; s <= t; ++s) {
        const double score = scale * dot(part(queries[t], size_t(head) * key_dim_, size_t(key_dim_)),
                                         part(keys[s], from * key_dim_, size_t(key_dim_)));
        scores.push_back(cap > 0 ? cap * std::tanh(score / cap) : score);
      }
      scores = softmax(scores);
      Vector mixed(size_t(value_dim_), 0.0);
      for (size_t s = first; s <= t; ++s) {
        add(mixed, part(values[s], from * value_dim_, size_t(value_dim_)), scores[s - first]);
      }
      gathered.insert(gathered.end(), mixed.begin(), mixed.end());
    }
    out.push_back(project(gathered, at + "attn_output"));
  }
  return out;
}

double Model::activate(double x) const {
  if (is("nemotron arcee")) return x > 0 ? x * x : 0;
  if (const auto named = texts_.find("hidden_activation"); named != texts_.end() && named->second == "relu")
    return std::max(0.0, x);
  if (is("falcon gptneox")) return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  if (is("gemma gemma2 gemma3 gpt2 starcoder starcoder2 codeshell phi2")) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }
  return x / (1 + std::exp(-x));
}

Vector Model::network(const Vector& x, const Table& gate, const Table& up, const Table& down) const {
  const Vector gates = times(gate, x);
  Vector middle = times(up, x);
  for (size_t i = 0; i < middle.size(); ++i) middle[i] *= activate(gates[i]);
  return times(down, middle);
}

Vector Model::experts(const Vector& x, int layer) const {
  const std::string at = "blk." + std::to_string(layer) + ".ffn_";
  auto gate = tables(at + "gate_exps.weight"), up = tables(at + "up_exps.weight");
  const auto down = tables(at + "down_exps.weight");
  for (const Table& both : tables(at + "gate_up_exps.weight")) {  // the gate's rows come first
    const auto half = both.begin() + long(both.size() / 2);
    gate.emplace_back(both.begin(), half);
    up.emplace_back(half, both.end());
  }
  Vector shares = times(table(at + "gate_inp.weight"), x);
  if (is("dots1 glm4moe")) {
    for (double& share : shares) share = 1 / (1 + std::exp(-share));
  } else {
    shares = softmax(shares);
  }
  const Vector bias = vector("blk." + std::to_string(layer) + ".exp_probs_b.bias");
  Vector ranks = shares;
  if (!bias.empty()) add(ranks, bias);
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ranks[a] > ranks[b]; });
  order.resize(size_t(number("expert_used_count", 1)));
  double sum = 0;
  for (size_t expert : order) sum += shares[expert];
  const bool to_one = is("llama mistral3 qwen3moe granite granitemoe dbrx ernie4_5-moe hunyuan-moe");
  const double scale =
      number("expert_weights_scale", 1) / (number("expert_weights_norm", to_one) != 0 ? sum : 1);
  Vector out(x.size(), 0.0);
  for (size_t expert : order) {
    add(out, network(x, gate[expert], up[expert], down[expert]), shares[expert] * scale);
  }
  if (tensors_.count(at + "up_shexp.weight")) {
    double share = 1;
    if (tensors_.count(at + "gate_inp_shexp.weight")) {
      share = 1 / (1 + std::exp(-dot(vector(at + "gate_inp_shexp.weight"), x)));
    }
    add(out,
        network(x, table(at + "gate_shexp.weight"), table(at + "up_shexp.weight"),
                table(at + "down_shexp.weight")),
        share);
  }
  return out;
}

Vector Model::feed_forward(const Vector& x, int layer) const {
  const std::string at = "blk." + std::to_string(layer) + ".ffn_";
  if (tensors_.count(at + "gate_inp.weight")) return experts(x, layer);
  Vector middle = project(x, at + "up");
  if (tensors_.count(at + "gate.weight")) {
    const Vector gates = project(x, at + "gate");
    for (size_t i = 0; i < middle.size(); ++i) middle[i] *= activate(gates[i]);
  } else if (is("phi3 chatglm glm4")) {  // the gate's rows come first
    const size_t half = middle.size() / 2;
    for (size_t i = 0; i < half; ++i) middle[i] = activate(middle[i]) * middle[half + i];
    middle.resize(half);
  } else {
    for (double& value : middle) value = activate(value);
  }
  return project(middle, at + "down");
}

Table Model::hidden(const std::vector<int32_t>& tokens, int after_layers) const {
  double scale = number("embedding_scale", is("minicpm") ? 12 : 1);
  if (is("gemma gemma2 gemma3")) scale = std::sqrt(double(width_));
  Table x;
  for (size_t t = 0; t < tokens.size(); ++t) {
    x.push_back(embedding_.at(size_t(tokens[t])));
    for (double& value : x[t]) value *= scale;
    if (is("gpt2 starcoder")) add(x[t], table("position_embd.weight").at(t));
  }
  for (int layer = 0; layer < (after_layers > 0 ? after_layers : layers_); ++layer) run_layer(x, layer);
  if (after_layers > 0) return x;
  for (Vector& row : x) row = norm(row, "output_norm");
  return x;
}

void Model::run_layer(Table& x, int layer) const {
  const std::string at = "blk." + std::to_string(layer) + ".";
  const double residual = number("residual_scale", is("minicpm") ? 1.4 / std::sqrt(double(layers_)) : 1);
  const bool two = tensors_.count(at + "attn_norm_2.weight") > 0;
  auto before = [&](const Vector& row, std::string name) {
    return is("olmo2 exaone4") ? row : norm(row, at + name);
  };
  auto after = [&](const Vector& row, const char* name) {
    return is("gemma2 gemma3 olmo2 exaone4 glm4") ? norm(row, at + name) : row;
  };
  std::string second = is("seed_oss glm4moe") ? "post_attention_norm"
                       : is("dbrx")           ? "attn_output_norm"
                                              : "ffn_norm";
  const bool one_norm =
      is("falcon phi2 command-r cohere2") || (is("stablelm") && !tensors_.count(at + "ffn_norm.weight"));
  if (one_norm) second = "attn_norm";
  const bool parallel = one_norm || (is("gptneox") && number("use_parallel_residual", 1) != 0);
  Table in;
  for (const Vector& row : x) in.push_back(before(row, two ? "attn_norm_2" : "attn_norm"));
  const Table added = attention(in, layer), old = x;
  for (size_t t = 0; t < x.size(); ++t) add(x[t], after(added[t], "post_attention_norm"), residual);
  for (size_t t = 0; t < x.size(); ++t) {
    const Vector from = before(parallel ? old[t] : x[t], second);
    add(x[t], after(feed_forward(from, layer), "post_ffw_norm"), residual);
  }
}

Table Model::logits(const std::vector<int32_t>& tokens) const {
  const Table output = tensors_.count("output.weight") ? table("output.weight") : embedding_;
  const Vector bias = vector("output.bias");
  const double cap = is("gemma2 gemma3") ? number("final_logit_softcapping", is("gemma2") ? 30 : 0) : 0;
  double scale = 1;
  if (is("command-r cohere2")) scale = number("logit_scale", 1);
  if (is("granite granitemoe minicpm")) scale = 1 / number("logit_scale", is("minicpm") ? width_ / 256.0 : 1);
  Table out;
  for (const Vector& row : hidden(tokens)) {
    out.push_back(times(output, row));
    if (!bias.empty()) add(out.back(), bias);
    for (double& value : out.back()) {
      value *= scale;
      value = cap > 0 ? cap * std::tanh(value / cap) : value;
    }
  }
  return out;
}

}  // namespace varve::reference
