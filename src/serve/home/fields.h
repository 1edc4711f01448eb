// Fields: one typed reading of a request's JSON, with ranges, so that nothing absurd passes the edge. null
// counts as absent. Fields that no one asks for are ignored: clients send many.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/format/json.h"

namespace varve {

class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  // Each leaves `out` as it is when the field is absent, and remembers the first error.
  Fields& integer(std::string_view key, int32_t& out, int32_t low, int32_t high);
  Fields& integer(std::string_view key, uint64_t& out);
  Fields& number(std::string_view key, float& out, float low, float high);
  Fields& number(std::string_view key, std::optional<float>& out, float low, float high);
  Fields& boolean(std::string_view key, bool& out);
  Fields& text(std::string_view key, std::string& out, size_t max_bytes);
  // A string or an array of strings, as "stop" and "input" are.
  Fields& texts(std::string_view key, std::vector<std::string>& out, size_t most, size_t max_bytes);
  Status done() { return std::move(status_); }

 private:
  const Json* present(std::string_view key) const;
  void refuse(std::string_view key, const std::string& expected);
  const Json& object_;
  Status status_;
};

}  // namespace varve
