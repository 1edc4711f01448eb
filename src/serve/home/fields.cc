#include "serve/home/fields.h"

#include <cmath>

namespace varve {
namespace {
std::string range(double low, double high) {
  const auto text = [](double value) {
    std::string digits = std::to_string(value);
    while (digits.back() == '0') digits.pop_back();
    if (digits.back() == '.') digits.pop_back();
    return digits;
  };
  return "from " + text(low) + " to " + text(high);
}
}  // namespace

const Json* Fields::present(std::string_view key) const {
  const Json* field = object_.find(key);
  return field == nullptr || field->is_null() ? nullptr : field;
}

void Fields::refuse(std::string_view key, const std::string& expected) {
  if (status_.ok()) status_ = Status(Code::invalid, "'" + std::string(key) + "' must be " + expected);
}

Fields& Fields::integer(std::string_view key, int32_t& out, int32_t low, int32_t high) {
  const Json* field = present(key);
  if (field == nullptr) return *this;
  // 1.0 counts: JavaScript writes what it likes.
  const double value = field->is_number() ? field->as_double() : std::nan("");
  if (!(value >= low && value <= high) || value != std::floor(value)) {
    refuse(key, "a whole number " + range(low, high));
  } else {
    out = static_cast<int32_t>(value);
  }
  return *this;
}

Fields& Fields::integer(std::string_view key, uint64_t& out) {
  const Json* field = present(key);
  if (field == nullptr) return *this;
  if (!field->is_int()) {
    refuse(key, "a whole number of 64 bits");
  } else {
    out = static_cast<uint64_t>(field->as_int());
  }
  return *this;
}

Fields& Fields::number(std::string_view key, float& out, float low, float high) {
  const Json* field = present(key);
  if (field == nullptr) return *this;
  const double value = field->is_number() ? field->as_double() : std::nan("");
  if (!(value >= low && value <= high)) {
    refuse(key, "a number " + range(low, high));
  } else {
    out = static_cast<float>(value);
  }
  return *this;
}

Fields& Fields::number(std::string_view key, std::optional<float>& out, float low, float high) {
  if (present(key) == nullptr) return *this;
  return number(key, out.emplace(low), low, high);
}

Fields& Fields::boolean(std::string_view key, bool& out) {
  const Json* field = present(key);
  if (field == nullptr) return *this;
  if (!field->is_bool()) {
    refuse(key, "true or false");
  } else {
    out = field->as_bool();
  }
  return *this;
}

Fields& Fields::text(std::string_view key, std::string& out, size_t max_bytes) {
  const Json* field = present(key);
  if (field == nullptr) return *this;
  if (!field->is_string() || field->as_string().size() > max_bytes) {
    refuse(key, "a string of at most " + std::to_string(max_bytes) + " bytes");
  } else {
    out = field->as_string();
  }
  return *this;
}

Fields& Fields::texts(std::string_view key, std::vector<std::string>& out, size_t most, size_t max_bytes) {
  const Json* field = present(key);
  if (field == nullptr) return *this;
  std::vector<std::string> all;
  bool good = field->is_string() || (field->is_array() && field->size() <= most);
  if (field->is_string()) all.push_back(field->as_string());
  if (good && field->is_array()) {
    for (const Json& item : field->as_array()) {
      good = good && item.is_string();
      if (good) all.push_back(item.as_string());
    }
  }
  for (const std::string& one : all) good = good && one.size() <= max_bytes;
  if (!good) {
    refuse(key, "a string or at most " + std::to_string(most) + " strings, each of at most " +
                    std::to_string(max_bytes) + " bytes");
  } else {
    out = std::move(all);
  }
  return *this;
}

}  // namespace varve
