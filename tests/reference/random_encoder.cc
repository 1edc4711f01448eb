#include "tests/reference/random_encoder.h"

#include <cmath>
#include <cstring>
#include <list>
#include <map>

#include "core/base/check.h"
#include "core/base/rng.h"

namespace varve::reference {
namespace {

std::vector<std::string> vocabulary() {
  std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  const std::string blank = "\xE2\x96\x81";
  for (const char* mark : {".", ",", "?", "!", "'", "-"}) tokens.push_back(blank + mark);
  for (char c = 'a'; c <= 'z'; ++c) {
    tokens.push_back(blank + c);
    tokens.push_back(std::string(1, c));
  }
  for (char c = '0'; c <= '9'; ++c) {
    tokens.push_back(blank + c);
    tokens.push_back(std::string(1, c));
  }
  for (const char* word :
       {"the", "dog", "cat",  "vet", "memory", "remember", "blue", "bank", "rate", "paris",
        "was", "is",  "sick", "my",  "we",     "went",     "to",   "in",   "may",  "last"}) {
    tokens.push_back(blank + word);
  }
  for (const char* end : {"ing", "ed", "er", "es", "ly", "tion"}) tokens.push_back(end);
  return tokens;
}

class Maker {
 public:
  explicit Maker(uint64_t seed) : seed_(seed) {}

  void tensor(const std::string& name, std::vector<int64_t> shape, double mean, double deviation) {
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    std::vector<float>& values = held_.emplace_back(size_t(count));
    for (float& value : values)
      value = float(mean + deviation * random_normal({seed_, 0, Site::test}, drawn_++));
    writer.add(name, 0, std::move(shape), std::as_bytes(std::span<const float>(values)));
  }
  void matrix(const std::string& name, int32_t rows, int32_t cols, bool bias) {
    tensor(name + ".weight", {cols, rows}, 0, 1.4 / std::sqrt(double(cols)));
    if (bias) tensor(name + ".bias", {rows}, 0, 0.3);
  }
  void norm(const std::string& name, int32_t width) {
    tensor(name + ".weight", {width}, 1, 0.2);
    tensor(name + ".bias", {width}, 0, 0.2);
  }
  GgufWriter writer;

 private:
  uint64_t seed_, drawn_ = 0;
  std::list<std::vector<float>> held_;
};

void metadata(const RandomEncoder& m, const std::vector<std::string>& tokens, GgufWriter& writer) {
  const auto count = [](int64_t value) { return GgufValue{GgufType::u32, false, value}; };
  const auto real = [](double value) { return GgufValue{GgufType::f32, false, double(float(value))}; };
  const std::string at = m.architecture + ".";
  writer.set("general.architecture", m.architecture);
  const std::map<std::string, int64_t> counts = {
      {"context_length", m.context},     {"embedding_length", m.width},     {"block_count", m.layers},
      {"feed_forward_length", m.hidden}, {"attention.head_count", m.heads}, {"pooling_type", m.pooling}};
  for (const auto& [key, value] : counts) writer.set(at + key, count(value));
  writer.set(at + "attention.layer_norm_epsilon", real(1e-12));
  writer.set(at + "attention.causal", GgufValue{GgufType::boolean, false, false});
  if (m.architecture == "nomic-bert") writer.set(at + "rope.freq_base", real(1000));
  GgufValue::Ints types(tokens.size(), 1);
  for (size_t i = 0; i < 5; ++i) types[i] = 3;
  const std::string tokenizer = "tokenizer.ggml.";
  writer.set(tokenizer + "model", std::string("bert")).set(tokenizer + "tokens", tokens);
  writer.set(tokenizer + "token_type", GgufValue{GgufType::i32, true, types});
  writer.set(tokenizer + "token_type_count", count(2));
  const std::map<std::string, int64_t> special = {{"padding", 0},   {"unknown", 1}, {"cls", 2}, {"bos", 2},
                                                  {"seperator", 3}, {"eos", 3},     {"mask", 4}};
  for (const auto& [name, id] : special) writer.set(tokenizer + name + "_token_id", count(id));
}

void layer(const RandomEncoder& m, const std::string& at, Maker& make) {
  const bool bert = m.architecture == "bert", jina = m.architecture == "jina-bert-v2";
  if (m.fused_qkv) {
    make.matrix(at + "attn_qkv", 3 * m.width, m.width, bert);
  } else {
    for (const char* part : {"attn_q", "attn_k", "attn_v"})
      make.matrix(at + part, m.width, m.width, bert || jina);
  }
  make.matrix(at + "attn_output", m.width, m.width, bert || jina);
  make.norm(at + "attn_output_norm", m.width);
  if (!bert) make.matrix(at + "ffn_gate", m.hidden, m.width, false);
  make.matrix(at + "ffn_up", m.hidden, m.width, bert);
  make.matrix(at + "ffn_down", m.width, m.hidden, bert || jina);
  make.norm(at + "layer_output_norm", m.width);
}

using Vector = std::vector<double>;
using Table = std::vector<Vector>;

class Encoder {
 public:
  Encoder(Env& env, const std::string& path) {
    auto mapping = env.map(path).value();
    const Gguf gguf = Gguf::parse(mapping->bytes()).value();
    family_ = *gguf.string("general.architecture");
    const auto number = [&](const char* key) { return *gguf.number(family_ + "." + key); };
    heads_ = size_t(number("attention.head_count"));
    layers_ = int(number("block_count"));
    epsilon_ = number("attention.layer_norm_epsilon");
    pooling_ = int(number("pooling_type"));
    for (const GgufTensor& tensor : gguf.tensors()) {
      CHECK(tensor.type == 0, "an f32 tensor");
      std::vector<float> values(size_t(tensor.elements()));
      std::memcpy(values.data(), mapping->bytes().data() + tensor.offset, size_t(tensor.bytes));
      const size_t cols = size_t(tensor.shape[0]);
      for (size_t i = 0; i < values.size(); i += cols)
        tensors_[tensor.name].emplace_back(values.begin() + long(i), values.begin() + long(i + cols));
    }
  }

  Vector run(const std::vector<int32_t>& tokens) {
    Table x;
    for (size_t t = 0; t < tokens.size(); ++t) {
      Vector row = tensors_.at("token_embd.weight")[size_t(tokens[t])];
      if (tensors_.count("position_embd.weight")) plus(row, tensors_["position_embd.weight"][t]);
      if (tensors_.count("token_types.weight")) plus(row, tensors_["token_types.weight"][0]);
      x.push_back(norm(row, "token_embd_norm"));
    }
    for (int i = 0; i < layers_; ++i) {
      const std::string at = "blk." + std::to_string(i) + ".";
      const Table read = attention(x, at);
      for (size_t t = 0; t < x.size(); ++t) {
        plus(x[t], read[t]);
        x[t] = norm(x[t], at + "attn_output_norm");
        plus(x[t], network(x[t], at));
        x[t] = norm(x[t], at + "layer_output_norm");
      }
    }
    return pooled(x);
  }

 private:
  static void plus(Vector& to, const Vector& from) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  }
  Vector norm(const Vector& x, const std::string& name) {
    double mean = 0, square = 0;
    for (double v : x) mean += v / double(x.size());
    for (double v : x) square += (v - mean) * (v - mean) / double(x.size());
    Vector y;
    for (size_t i = 0; i < x.size(); ++i) {
      y.push_back((x[i] - mean) / std::sqrt(square + epsilon_) * tensors_.at(name + ".weight")[0][i] +
                  tensors_.at(name + ".bias")[0][i]);
    }
    return y;
  }
  Vector project(const Vector& x, const std::string& name) {
    Vector y;
    for (const Vector& row : tensors_.at(name + ".weight")) {
      double sum = 0;
      for (size_t i = 0; i < x.size(); ++i) sum += row[i] * x[i];
      y.push_back(sum);
    }
    if (tensors_.count(name + ".bias")) plus(y, tensors_[name + ".bias"][0]);
    return y;
  }
  // One of queries (0), keys (1) and values (2) of a row.
  Vector part(const Vector& x, const std::string& at, size_t which) {
    constexpr const char* kNames[] = {"attn_q", "attn_k", "attn_v"};
    if (!tensors_.count(at + "attn_qkv.weight")) return project(x, at + kNames[which]);
    const Vector all = project(x, at + "attn_qkv");
    return Vector(all.begin() + long(which * x.size()), all.begin() + long((which + 1) * x.size()));
  }
  void rotate(Vector& row, size_t position) const {
    const size_t dim = row.size() / heads_, half = dim / 2;
    for (size_t head = 0; head < heads_; ++head) {
      for (size_t i = 0; i < half; ++i) {
        const double angle = double(position) / std::pow(1000.0, 2.0 * double(i) / double(dim));
        double &a = row[head * dim + i], &b = row[head * dim + i + half];
        const double turned = a * std::cos(angle) - b * std::sin(angle);
        b = a * std::sin(angle) + b * std::cos(angle);
        a = turned;
      }
    }
  }
  Table attention(const Table& x, const std::string& at) {
    Table queries, keys, values, out;
    for (size_t t = 0; t < x.size(); ++t) {
      queries.push_back(part(x[t], at, 0));
      keys.push_back(part(x[t], at, 1));
      values.push_back(part(x[t], at, 2));
      if (family_ != "nomic-bert") continue;
      rotate(queries[t], t);
      rotate(keys[t], t);
    }
    const size_t dim = x[0].size() / heads_;
    for (size_t t = 0; t < x.size(); ++t) {
      Vector row(x[0].size());
      for (size_t head = 0; head < heads_; ++head) {
        Vector weights;
        double sum = 0;
        for (size_t s = 0; s < x.size(); ++s) {
          double score = 0;
          for (size_t i = head * dim; i < (head + 1) * dim; ++i) score += queries[t][i] * keys[s][i];
          score /= std::sqrt(double(dim));
          if (family_ == "jina-bert-v2") {  // heads are a power of two here
            const double apart = std::abs(double(t) - double(s));
            score -= apart * std::pow(2.0, -8.0 * double(head + 1) / double(heads_));
          }
          weights.push_back(std::exp(score));
          sum += weights.back();
        }
        for (size_t s = 0; s < x.size(); ++s) {
          for (size_t i = head * dim; i < (head + 1) * dim; ++i) row[i] += weights[s] / sum * values[s][i];
        }
      }
      out.push_back(project(row, at + "attn_output"));
    }
    return out;
  }
  Vector network(const Vector& x, const std::string& at) {
    const auto gelu = [](double v) { return v * 0.5 * (1 + std::erf(v / std::sqrt(2.0))); };
    const auto silu = [](double v) { return v / (1 + std::exp(-v)); };
    Vector up = project(x, at + "ffn_up");
    if (family_ == "bert") {
      for (double& v : up) v = gelu(v);
    } else {
      const Vector gate = project(x, at + "ffn_gate");
      for (size_t i = 0; i < up.size(); ++i) up[i] *= family_ == "nomic-bert" ? silu(gate[i]) : gelu(gate[i]);
    }
    return project(up, at + "ffn_down");
  }
  Vector pooled(const Table& x) const {
    Vector y(x[0].size());
    if (pooling_ == 2) y = x[0];
    if (pooling_ == 3) y = x.back();
    if (pooling_ == 1) {
      for (const Vector& row : x) plus(y, row);
    }
    double square = 0;
    for (double v : y) square += v * v;
    for (double& v : y) v /= std::sqrt(square);
    return y;
  }

  std::string family_;
  std::map<std::string, Table> tensors_;
  size_t heads_ = 1;
  int layers_ = 0, pooling_ = 1;
  double epsilon_ = 0;
};

}  // namespace

Status write_random_encoder(const RandomEncoder& m, uint64_t seed, Env& env, const std::string& path) {
  const std::vector<std::string> tokens = vocabulary();
  Maker make(seed);
  metadata(m, tokens, make.writer);
  make.tensor("token_embd.weight", {m.width, int64_t(tokens.size())}, 0, 1);
  if (m.architecture == "bert") make.tensor("position_embd.weight", {m.width, m.context}, 0, 0.5);
  if (m.token_types) make.tensor("token_types.weight", {m.width, 2}, 0, 0.5);
  make.norm("token_embd_norm", m.width);
  for (int32_t i = 0; i < m.layers; ++i) layer(m, "blk." + std::to_string(i) + ".", make);
  return make.writer.write(env, path);
}

std::vector<double> encoded(Env& env, const std::string& path, const std::vector<int32_t>& tokens) {
  return Encoder(env, path).run(tokens);
}

}  // namespace varve::reference
