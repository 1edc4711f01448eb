// Whether a JSON value is valid by a schema: the oracle for constrained output, written apart from it.
// Patterns are left to std::regex, which is fine for the short texts of a test.
#pragma once

#include <cmath>
#include <regex>
#include <string>

#include "core/format/json.h"

namespace varve {

inline size_t code_points(const std::string& text) {
  size_t count = 0;
  for (const char c : text) count += (c & 0xC0) != 0x80;
  return count;
}

inline bool has_type(const Json& value, const std::string& type) {
  if (type == "integer") return value.is_number() && value.as_double() == std::floor(value.as_double());
  return (type == "null" && value.is_null()) || (type == "boolean" && value.is_bool()) ||
         (type == "number" && value.is_number()) || (type == "string" && value.is_string()) ||
         (type == "array" && value.is_array()) || (type == "object" && value.is_object());
}

class TinySchema {
 public:
  explicit TinySchema(const Json& root) : root_(root) {}
  bool valid(const Json& value) const { return valid(root_, value); }

 private:
  bool valid(const Json& s, const Json& v) const {
    if (s.is_bool()) return s.as_bool();
    if (const Json* ref = s.find("$ref"); ref != nullptr && !valid(target(ref->as_string()), v)) return false;
    if (const Json* type = s.find("type"); type != nullptr && !fits(*type, v)) {
      return v.is_null() && s["nullable"].is_bool();
    }
    if (const Json* one = s.find("const"); one != nullptr && !(*one == v)) return false;
    if (const Json* list = s.find("enum");
        list != nullptr && !holds(*list, [&](const Json& e) { return e == v; }))
      return false;
    for (const char* key : {"anyOf", "oneOf"}) {
      if (const Json* list = s.find(key);
          list != nullptr && !holds(*list, [&](const Json& e) { return valid(e, v); }))
        return false;
    }
    if (const Json* list = s.find("allOf")) {
      for (const Json& e : list->as_array()) {
        if (!valid(e, v)) return false;
      }
    }
    if (v.is_string()) return string(s, v);
    if (v.is_number()) return number(s, v);
    if (v.is_array()) return array(s, v);
    return !v.is_object() || object(s, v);
  }

  template <class Check>
  static bool holds(const Json& list, Check check) {
    for (const Json& e : list.as_array()) {
      if (check(e)) return true;
    }
    return false;
  }
  static bool fits(const Json& type, const Json& v) {
    if (type.is_string()) return has_type(v, type.as_string());
    return holds(type, [&](const Json& t) { return has_type(v, t.as_string()); });
  }
  const Json& target(const std::string& path) const {
    const Json* at = &root_;
    for (size_t begin = 1; begin < path.size();) {
      const size_t end = std::min(path.find('/', begin + 1), path.size());
      at = &(*at)[path.substr(begin + 1, end - begin - 1)];
      begin = end;
    }
    return *at;
  }
  static bool within(const Json& s, const char* least, const char* most, double size) {
    const Json *a = s.find(least), *b = s.find(most);
    return (a == nullptr || size >= a->as_double()) && (b == nullptr || size <= b->as_double());
  }

  bool string(const Json& s, const Json& v) const {
    if (!within(s, "minLength", "maxLength", double(code_points(v.as_string())))) return false;
    const Json* pattern = s.find("pattern");
    return pattern == nullptr || std::regex_search(v.as_string(), std::regex(pattern->as_string()));
  }
  bool number(const Json& s, const Json& v) const {
    const Json *above = s.find("exclusiveMinimum"), *below = s.find("exclusiveMaximum");
    return within(s, "minimum", "maximum", v.as_double()) &&
           (above == nullptr || v.as_double() > above->as_double()) &&
           (below == nullptr || v.as_double() < below->as_double());
  }
  bool array(const Json& s, const Json& v) const {
    if (!within(s, "minItems", "maxItems", double(v.size()))) return false;
    const Json& firsts = s["prefixItems"];
    for (size_t i = 0; i < v.size(); ++i) {
      const Json* item = i < firsts.size() ? &firsts.as_array()[i] : s.find("items");
      if (item != nullptr && !valid(*item, v.as_array()[i])) return false;
    }
    return true;
  }
  bool object(const Json& s, const Json& v) const {
    if (const Json* required = s.find("required")) {
      for (const Json& name : required->as_array()) {
        if (v.find(name.as_string()) == nullptr) return false;
      }
    }
    for (const auto& [name, value] : v.as_object()) {
      const Json* known = s["properties"].find(name);
      const Json* own = known != nullptr ? known : s.find("additionalProperties");
      if (own != nullptr && !valid(*own, value)) return false;
    }
    return true;
  }

  const Json& root_;
};

}  // namespace varve
