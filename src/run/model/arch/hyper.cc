#include "run/model/arch/hyper.h"

#include <cmath>
#include <cstdio>

namespace varve {
namespace {

std::string in_words(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

Status out_of_range(const std::string& key, double value, double low, double high) {
  return Status(Code::invalid,
                key + " is " + in_words(value) + ", not between " + in_words(low) + " and " + in_words(high));
}

}  // namespace

Result<int32_t> HyperParameters::count(std::string_view key, int32_t low, int32_t high) const {
  const int64_t value = TRY(gguf_.integer(full(key)));
  if (value < low || value > high) return out_of_range(full(key), double(value), low, high);
  return int32_t(value);
}

Result<int32_t> HyperParameters::count_or(std::string_view key, int32_t absent, int32_t low,
                                          int32_t high) const {
  return has(key) ? count(key, low, high) : absent;
}

Result<int32_t> HyperParameters::count_all_layers(std::string_view key, int32_t absent, int32_t low,
                                                  int32_t high) const {
  const GgufValue* found = gguf_.find(full(key));
  if (found == nullptr || !found->array) return count_or(key, absent, low, high);
  const auto values = TRY(gguf_.integers(full(key)));
  if (values.empty()) return Status(Code::invalid, full(key) + " is an empty array");
  for (int64_t value : values) {
    if (value != values[0]) {
      return Status(Code::unsupported, full(key) + " differs from layer to layer, which is not supported");
    }
  }
  if (values[0] < low || values[0] > high) return out_of_range(full(key), double(values[0]), low, high);
  return int32_t(values[0]);
}

Result<float> HyperParameters::number(std::string_view key, double low, double high) const {
  const double value = TRY(gguf_.number(full(key)));
  if (!(value >= low && value <= high)) return out_of_range(full(key), value, low, high);  // NaN too
  return float(value);
}

Result<float> HyperParameters::number_or(std::string_view key, float absent, double low, double high) const {
  return has(key) ? number(key, low, high) : absent;
}

Result<bool> HyperParameters::flag_or(std::string_view key, bool absent) const {
  return has(key) ? gguf_.boolean(full(key)) : absent;
}

Result<std::string> HyperParameters::text_or(std::string_view key, std::string_view absent) const {
  return has(key) ? gguf_.string(full(key)) : std::string(absent);
}

Result<std::vector<int64_t>> HyperParameters::per_layer(std::string_view key) const {
  const GgufValue* found = gguf_.find(full(key));
  if (found == nullptr || !found->array) return std::vector<int64_t>();
  return gguf_.integers(full(key));
}

}  // namespace varve
