#include "run/model/arch/hyper.h"

#include <algorithm>
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
  return in_range(key, TRY(gguf_.integer(full(key))), low, high);
}

Result<int32_t> HyperParameters::count_or(std::string_view key, int32_t absent, int32_t low,
                                          int32_t high) const {
  return has(key) ? count(key, low, high) : in_range(key, absent, low, high);
}

Result<int32_t> HyperParameters::count_all_layers(std::string_view key, int32_t absent, int32_t low,
                                                  int32_t high) const {
  const auto values = TRY(per_layer(key));
  if (values.empty()) return count_or(key, absent, low, high);
  if (std::any_of(values.begin(), values.end(), [&](int64_t value) { return value != values[0]; })) {
    return Status(Code::unsupported, full(key) + " differs from layer to layer, which is not supported");
  }
  return in_range(key, values[0], low, high);
}

Result<int32_t> HyperParameters::in_range(std::string_view key, int64_t value, int32_t low,
                                          int32_t high) const {
  if (value < low || value > high) return out_of_range(full(key), double(value), low, high);
  return int32_t(value);
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
