// Random tiny model files of any family, from a seed: as the families' tensors are named and shaped in GGUF.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/format/gguf.h"

namespace varve::reference {

struct RandomModel {
  std::string architecture;
  int32_t layers = 2, width = 48, hidden = 80, heads = 6, kv_heads = 2, key_dim = 8, value_dim = 8;
  int32_t vocabulary = 61, context = 96;
  int32_t experts = 0, experts_used = 0, shared_hidden = 0, leading_dense = 0;
  int32_t every = 1;  // which layers have experts
  bool fused_qkv = false, biases = false, tied = false, rope_factors = false;
  bool fused_experts = false, norm_of_each_head = false, one_norm = false, two_norms = false;
  std::map<std::string, GgufValue> more = {};  // metadata without the prefix
};

// Also sets what the fields say; `more` wins. Weights are drawn so that activations stay near one.
Status write_random_model(const RandomModel& model, uint64_t seed, Env& env, const std::string& path);

inline GgufValue count_value(int64_t value) {
  return {GgufType::u32, false, value};
}
inline GgufValue real_value(double value) {
  return {GgufType::f32, false, double(float(value))};
}
inline GgufValue text_value(std::string value) {
  return {GgufType::string, false, std::move(value)};
}

}  // namespace varve::reference
