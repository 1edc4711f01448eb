// Typed reads of GGUF metadata.
#include <cmath>

#include "core/format/gguf.h"

namespace varve {
namespace {

Status unfit(std::string_view key, std::string_view wanted) {
  return Status(Code::invalid, "GGUF metadata '" + std::string(key) + "' is no " + std::string(wanted));
}

bool to_integer(double from, int64_t& to) {
  if (!(from >= -0x1p63 && from < 0x1p63) || std::trunc(from) != from) return false;
  to = int64_t(from);
  return true;
}

bool to_real(int64_t from, double& to) {
  int64_t back = 0;
  to = double(from);
  return to_integer(to, back) && back == from;
}

template <class From, class To>
Result<std::vector<To>> converted(std::string_view key, const std::vector<From>& from, const char* wanted,
                                  bool (*convert)(From, To&)) {
  std::vector<To> to(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    if (!convert(from[i], to[i])) return unfit(key, wanted);
  }
  return to;
}

}  // namespace

const GgufValue* Gguf::find(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

const GgufTensor* Gguf::tensor(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

Result<const GgufValue*> Gguf::need(std::string_view key) const {
  if (const GgufValue* value = find(key)) return value;
  return Status(Code::invalid, "GGUF metadata '" + std::string(key) + "' is missing");
}

Result<int64_t> Gguf::integer(std::string_view key) const {
  const GgufValue* value = TRY(need(key));
  if (const auto* held = std::get_if<int64_t>(&value->held)) return *held;
  int64_t exact = 0;
  if (const auto* held = std::get_if<double>(&value->held); held && to_integer(*held, exact)) return exact;
  return unfit(key, "integer");
}

Result<double> Gguf::number(std::string_view key) const {
  const GgufValue* value = TRY(need(key));
  if (const auto* held = std::get_if<double>(&value->held)) return *held;
  double exact = 0;
  if (const auto* held = std::get_if<int64_t>(&value->held); held && to_real(*held, exact)) return exact;
  return unfit(key, "number");
}

Result<bool> Gguf::boolean(std::string_view key) const {
  const GgufValue* value = TRY(need(key));
  if (const auto* held = std::get_if<bool>(&value->held)) return *held;
  return unfit(key, "boolean");
}

Result<std::string> Gguf::string(std::string_view key) const {
  const GgufValue* value = TRY(need(key));
  if (const auto* held = std::get_if<std::string>(&value->held)) return *held;
  return unfit(key, "string");
}

Result<std::vector<std::string>> Gguf::strings(std::string_view key) const {
  const GgufValue* value = TRY(need(key));
  if (const auto* held = std::get_if<GgufValue::Strings>(&value->held)) return *held;
  return unfit(key, "array of strings");
}

Result<std::vector<int64_t>> Gguf::integers(std::string_view key) const {
  const GgufValue* value = TRY(need(key));
  if (const auto* held = std::get_if<GgufValue::Ints>(&value->held)) return *held;
  const auto* held = std::get_if<GgufValue::Floats>(&value->held);
  if (!held) return unfit(key, "array of integers");
  return converted(key, *held, "array of integers", to_integer);
}

Result<std::vector<double>> Gguf::numbers(std::string_view key) const {
  const GgufValue* value = TRY(need(key));
  if (const auto* held = std::get_if<GgufValue::Floats>(&value->held)) return *held;
  const auto* held = std::get_if<GgufValue::Ints>(&value->held);
  if (!held) return unfit(key, "array of numbers");
  return converted(key, *held, "array of numbers", to_real);
}

}  // namespace varve
