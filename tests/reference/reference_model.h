// A second transformer: slow, obvious, in double precision, with nothing of the product in it but the reader
// of GGUF files and the codecs. What the product's decoder computes is compared with this. It keeps no KV:
// every call computes all positions from the beginning. Bad files may crash it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/format/gguf.h"

namespace varve::reference {

using Vector = std::vector<double>;
using Table = std::vector<Vector>;  // rows

class Model {
 public:
  explicit Model(Env& env, const std::string& path);
  int vocabulary() const { return int(embedding_.size()); }
  // A row a token: after the last norm, or as it is after so many layers.
  Table hidden(const std::vector<int32_t>& tokens, int after_layers = 0) const;
  Table logits(const std::vector<int32_t>& tokens) const;

 private:
  double number(const std::string& key, double absent) const;
  bool is(const char* families) const;           // "llama qwen2": the file's architecture is one of them
  Vector vector(const std::string& name) const;  // empty when absent
  std::vector<Table> tables(const std::string& name) const;  // a stack; empty when absent
  Table table(const std::string& name) const;

  Vector norm(const Vector& x, const std::string& name) const;
  Vector norm(const Vector& x, const Vector& weight, const Vector& bias) const;
  Vector project(const Vector& x, const std::string& name) const;
  void rotate(Vector& heads, int count, int position, int layer) const;
  void norm_heads(Vector& heads, int count, const std::string& name) const;
  Table attention(const Table& x, int layer) const;
  Vector feed_forward(const Vector& x, int layer) const;
  Vector network(const Vector& x, const Table& gate, const Table& up, const Table& down) const;
  Vector experts(const Vector& x, int layer) const;
  void run_layer(Table& x, int layer) const;
  double activate(double x) const;
  int window(int layer) const;

  std::string family_;
  std::map<std::string, double> numbers_;
  std::map<std::string, std::vector<double>> lists_;
  std::map<std::string, std::string> texts_;
  std::map<std::string, std::vector<Table>> tensors_;
  Table embedding_;
  int layers_ = 0, width_ = 0, heads_ = 0, kv_heads_ = 0, key_dim_ = 0, value_dim_ = 0;
};

}  // namespace varve::reference
