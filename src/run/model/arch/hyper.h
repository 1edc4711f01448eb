// HyperParameters: a model file's metadata under its architecture's prefix, read with a range. A value that
// is missing, of another kind or out of range is an error that names its key: metadata may be hostile.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/format/gguf.h"

namespace varve {

class HyperParameters {
 public:
  HyperParameters(const Gguf& gguf, std::string prefix) : gguf_(gguf), prefix_(std::move(prefix)) {}

  const Gguf& gguf() const { return gguf_; }
  const std::string& prefix() const { return prefix_; }
  bool has(std::string_view key) const { return gguf_.find(full(key)) != nullptr; }
  bool has_tensor(std::string_view role) const {
    return gguf_.tensor(std::string(role) + ".weight") != nullptr;
  }

  Result<int32_t> count(std::string_view key, int32_t low, int32_t high) const;
  // What is assumed of an absent key must be in range too.
  Result<int32_t> count_or(std::string_view key, int32_t absent, int32_t low, int32_t high) const;
  // One value, or an array with the same value for every layer; differing values are unsupported.
  Result<int32_t> count_all_layers(std::string_view key, int32_t absent, int32_t low, int32_t high) const;
  Result<float> number(std::string_view key, double low, double high) const;
  Result<float> number_or(std::string_view key, float absent, double low, double high) const;
  Result<bool> flag_or(std::string_view key, bool absent) const;
  Result<std::string> text_or(std::string_view key, std::string_view absent) const;
  // Empty when absent or not an array.
  Result<std::vector<int64_t>> per_layer(std::string_view key) const;

 private:
  Result<int32_t> in_range(std::string_view key, int64_t value, int32_t low, int32_t high) const;
  std::string full(std::string_view key) const { return prefix_ + "." + std::string(key); }
  const Gguf& gguf_;
  std::string prefix_;
};

}  // namespace varve
