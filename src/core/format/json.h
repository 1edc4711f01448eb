// Json: a JSON value. The third-party parser stays inside json.cc; depth, size and count are bounded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/status.h"

namespace varve {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;  // in the order of the text; keys are unique

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : held_(value) {}
  Json(int value) : held_(int64_t(value)) {}
  Json(int64_t value) : held_(value) {}
  Json(double value) : held_(value) {}
  Json(const char* value) : held_(std::string(value)) {}
  Json(std::string_view value) : held_(std::string(value)) {}
  Json(std::string value) : held_(std::move(value)) {}
  Json(Array value) : held_(std::move(value)) {}
  Json(Object value) : held_(std::move(value)) {}
  static Json array() { return Json(Array{}); }
  static Json object() { return Json(Object{}); }

  bool is_null() const { return held_.index() == 0; }
  bool is_bool() const { return held_.index() == 1; }
  bool is_int() const { return held_.index() == 2; }
  bool is_number() const { return held_.index() == 2 || held_.index() == 3; }
  bool is_string() const { return held_.index() == 4; }
  bool is_array() const { return held_.index() == 5; }
  bool is_object() const { return held_.index() == 6; }

  // Only after the matching is_...(); otherwise a bug (CHECK).
  bool as_bool() const;
  int64_t as_int() const;
  double as_double() const;  // of an int too
  const std::string& as_string() const;
  const Array& as_array() const;
  Array& as_array();
  const Object& as_object() const;
  Object& as_object();

  size_t size() const;                                 // of an array or object; 0 of anything else
  const Json* find(std::string_view key) const;        // null when absent, or when this is no object
  const Json& operator[](std::string_view key) const;  // a null value when absent
  Json& set(std::string_view key, Json value);         // on an object: replaces or appends; returns *this
  Json& push(Json value);                              // on an array; returns *this

  bool operator==(const Json& other) const;  // 1 == 1.0; order of members does not matter
  // Compact; invalid UTF-8 in strings becomes U+FFFD, a double that is no number null. indent > 0 writes
  // lines. Reads back equal.
  std::string dump(int indent = 0) const;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> held_;
};

// Copying, comparing and destroying walk a value by recursion; nest no deeper than this.
inline constexpr int kJsonDeepest = 1000;

struct JsonLimits {
  size_t max_bytes = 32u << 20;
  int max_depth = 64;         // of arrays and objects; at most kJsonDeepest
  size_t max_items = 100000;  // values and keys together
};
// Strict JSON in valid UTF-8, in time linear in the text. Code::invalid says the byte offset and what is
// wrong; a duplicate key is an error. Integers outside int64 become doubles; numbers outside double are an
// error.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

}  // namespace varve
