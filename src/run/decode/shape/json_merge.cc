// Two schemas that must hold together become one.
#include <algorithm>

#include "run/decode/shape/json_schema.h"

namespace varve::shape {
namespace {

Status refuse(std::string_view key, const std::string& place) {
  return Status(Code::unsupported, "the schema at " + place + " demands '" + std::string(key) +
                                       "' twice, which is not supported");
}

bool has(const Json& list, const Json& value) {
  return std::find(list.as_array().begin(), list.as_array().end(), value) != list.as_array().end();
}

Json both(const Json& a, const Json& b) {
  Json all = Json::array();
  all.push(a).push(b);
  Json schema = Json::object();
  schema.set("allOf", std::move(all));
  return schema;
}

Json as_list(const Json& value) {
  if (value.is_array()) return value;
  Json list = Json::array();
  list.push(value);
  return list;
}

Json common(const Json& a, const Json& b) {
  Json out = Json::array();
  for (const Json& value : a.as_array()) {
    if (has(b, value)) out.push(value);
  }
  return out;
}

// "integer" is within "number".
Json common_types(const Json& a, const Json& b) {
  Json out = common(a, b);
  const Json integer = "integer", number = "number";
  const bool mixed = (has(a, integer) && has(b, number)) || (has(b, integer) && has(a, number));
  if (mixed && !has(out, integer) && !has(out, number)) out.push(integer);
  return out;
}

Result<Json> joined_properties(const Json& a, const Json& b, const std::string& place) {
  if (!a.is_object() || !b.is_object()) return refuse("properties", place);
  Json out = a;
  for (const auto& [name, schema] : b.as_object()) {
    const Json* known = a.find(name);
    out.set(name, known == nullptr ? schema : both(*known, schema));
  }
  return out;
}

Result<Json> joined(std::string_view key, const Json& a, const Json& b, const std::string& place) {
  static constexpr std::string_view kLeast[] = {"minimum", "exclusiveMinimum", "minLength", "minItems"};
  static constexpr std::string_view kMost[] = {"maximum", "exclusiveMaximum", "maxLength", "maxItems"};
  const auto one_of = [&](const auto& list) {
    return std::find(std::begin(list), std::end(list), key) != std::end(list);
  };
  if (a.is_number() && b.is_number() && one_of(kLeast)) return a.as_double() < b.as_double() ? b : a;
  if (a.is_number() && b.is_number() && one_of(kMost)) return a.as_double() < b.as_double() ? a : b;
  if (key == "properties") return joined_properties(a, b, place);
  if (key == "type") return common_types(as_list(a), as_list(b));
  if (key == "enum" && a.is_array() && b.is_array()) return common(a, b);
  if (key == "items") return both(a, b);
  if (key == "allOf" && a.is_array() && b.is_array()) {
    Json out = a;
    for (const Json& one : b.as_array()) out.push(one);
    return out;
  }
  if (key == "required" && a.is_array() && b.is_array()) {
    Json out = a;
    for (const Json& name : b.as_array()) {
      if (!has(a, name)) out.push(name);
    }
    return out;
  }
  return refuse(key, place);
}

// A schema that closes its object forbids the properties that only the other one names.
bool closes(const Json& a, const Json& b) {
  const Json* more = a.find("additionalProperties");
  if (more == nullptr || (more->is_bool() && more->as_bool())) return false;
  const Json& others = b["properties"];
  if (!others.is_object()) return false;
  return std::any_of(others.as_object().begin(), others.as_object().end(), [&](const Json::Member& member) {
    return a["properties"].find(member.first) == nullptr;
  });
}

}  // namespace

Result<Json> merged(const Json& a, const Json& b, const std::string& place) {
  if (a.is_bool()) return a.as_bool() ? b : a;
  if (b.is_bool()) return b.as_bool() ? a : b;
  if (!a.is_object() || !b.is_object())
    return Status(Code::invalid, "the schema at " + place + " is no object");
  if (closes(a, b) || closes(b, a)) return refuse("additionalProperties", place);
  Json out = a;
  for (const auto& [key, value] : b.as_object()) {
    const Json* known = a.find(key);
    if (known == nullptr) {
      out.set(key, value);
    } else if (!(*known == value) && keyword(key) == Keyword::known) {
      out.set(key, TRY(joined(key, *known, value, place)));
    }
  }
  return out;
}

}  // namespace varve::shape
