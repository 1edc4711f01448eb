#include "run/decode/shape/schema_rules.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace varve::shape {
namespace {

constexpr int kSchemaDepth = 100;
constexpr int64_t kJoined = 300000;  // values of schemas that allOf and anyOf join, in all
constexpr int64_t kMostRepeats = kStates;

Json without_key(const Json& schema, std::string_view key) {
  Json out = Json::object();
  for (const auto& [name, value] : schema.as_object()) {
    if (name != key) out.set(name, value);
  }
  return out;
}

int64_t values_in(const Json& json) {
  int64_t values = 1;
  if (json.is_array()) {
    for (const Json& item : json.as_array()) values += values_in(item);
  } else if (json.is_object()) {
    for (const auto& [key, item] : json.as_object()) values += values_in(item);
  }
  return values;
}

bool constrains(const Json& schema) {
  return std::any_of(schema.as_object().begin(), schema.as_object().end(),
                     [](const Json::Member& m) { return keyword(m.first) == Keyword::known; });
}

}  // namespace

Result<Rule> SchemaRules::run() {
  const Rule root = rules_.declare();
  rules_.define(root, TRY(convert(root_, {})));
  while (!waiting_.empty()) {  // a reference is converted after what refers to it, so nothing recurses
    const auto [rule, path] = waiting_.back();
    waiting_.pop_back();
    rules_.define(rule, TRY(convert(*TRY(resolve(path)), {path, 0})));
  }
  if (rules_.full()) return invalid("the schema is too large");
  return root;
}

Status SchemaRules::check_keywords(const Json& schema, const Place& place) const {
  for (const auto& [key, value] : schema.as_object()) {
    if (keyword(key) != Keyword::unsupported) continue;
    const bool idle = (value.is_bool() && !value.as_bool() && key == "uniqueItems") ||
                      (value.is_int() && value.as_int() == 0 && key == "minProperties");
    if (!idle) return unsupported(place, key);
  }
  return {};
}

Result<Part> SchemaRules::convert(const Json& schema, const Place& place) {
  if (place.depth > kSchemaDepth) return bad(place, "is nested too deeply");
  if (rules_.full()) return invalid("the schema is too large");
  if (schema.is_bool()) return schema.as_bool() ? json_.any() : rules_.choice({});
  if (!schema.is_object()) return bad(place, "is neither an object nor a boolean");
  TRY(check_keywords(schema, place));
  if (schema.find("$ref") != nullptr) return reference(schema, place);
  if (schema.find("allOf") != nullptr) return all_of(schema, place);
  for (const char* key : {"anyOf", "oneOf"}) {
    if (schema.find(key) != nullptr) return any_of(schema, key, place);
  }
  return convert_object(schema, place);
}

Result<Part> SchemaRules::convert_object(const Json& schema, const Place& place) {
  if (const Json* value = schema.find("const")) {
    Json one = Json::array();
    one.push(*value);
    return values(schema, one);
  }
  if (const Json* list = schema.find("enum")) {
    if (!list->is_array()) return bad(place, "has an 'enum' that is no array");
    return values(schema, *list);
  }
  const std::vector<std::string> kinds = TRY(types(schema, place));
  if (kinds.empty() && !constrains(schema)) return json_.any();
  std::vector<Part> parts;
  for (const std::string& type : kinds) parts.push_back(TRY(of_type(type, schema, place)));
  const Json& nullable = schema["nullable"];
  if (nullable.is_bool() && nullable.as_bool()) parts.push_back(rules_.text("null"));
  return rules_.choice(std::move(parts));
}

Result<const Json*> SchemaRules::resolve(const std::string& path) const {
  const Json* at = &root_;
  if (path.empty() || path[0] != '#') {
    return Status(Code::unsupported, "the reference '" + path + "' leads outside the schema");
  }
  for (size_t begin = 1; begin < path.size();) {
    if (path[begin] != '/') return Status(Code::unsupported, "the reference '" + path + "' is no path");
    const size_t end = std::min(path.find('/', begin + 1), path.size());
    std::string key = path.substr(begin + 1, end - begin - 1);
    for (const auto& [code, c] : {std::pair("~1", '/'), std::pair("~0", '~')}) {
      for (size_t found = 0; (found = key.find(code, found)) != key.npos; ++found)
        key.replace(found, 2, 1, c);
    }
    if (at->is_array()) {
      const size_t index = !key.empty() && key.size() < 7 && key.find_first_not_of("0123456789") == key.npos
                               ? std::stoul(key)
                               : at->size();
      at = index < at->size() ? &at->as_array()[index] : nullptr;
    } else {
      at = at->find(key);
    }
    if (at == nullptr) return invalid("the reference '" + path + "' leads nowhere");
    begin = end;
  }
  return at;
}

Result<Part> SchemaRules::reference(const Json& schema, const Place& place) {
  const Json& path = schema["$ref"];
  if (!path.is_string()) return bad(place, "has a '$ref' that is no string");
  const Json rest = without_key(schema, "$ref");
  if (constrains(rest))
    return convert(TRY(merged(rest, TRY(dereferenced(schema, place)), place.path)),
                   {place.path, place.depth + 1});
  const auto known = references_.find(path.as_string());
  if (known != references_.end()) return rules_.call(known->second);
  TRY(resolve(path.as_string()));
  const Rule rule = rules_.declare();
  references_.emplace(path.as_string(), rule);
  waiting_.emplace_back(rule, path.as_string());
  return rules_.call(rule);
}

// Joined schemas are copied, so a small one that refers to itself is bounded by what it copies.
Result<Json> SchemaRules::joined(const Json& a, const Json& b, const Place& place) {
  joined_ += values_in(a) + values_in(b);
  if (joined_ > kJoined) return bad(place, "combines too many schemas");
  return merged(a, b, place.path);
}

// What a chain of references ends at, with whatever constrains beside each.
Result<Json> SchemaRules::dereferenced(const Json& schema, const Place& place) {
  Json at = schema;
  for (int hops = 0; at.is_object() && at.find("$ref") != nullptr; ++hops) {
    if (hops > kSchemaDepth || !at["$ref"].is_string()) return bad(place, "has a '$ref' that leads nowhere");
    const Json* target = TRY(resolve(at["$ref"].as_string()));
    at = TRY(joined(without_key(at, "$ref"), *target, place));
  }
  return at;
}

Result<Part> SchemaRules::all_of(const Json& schema, const Place& place) {
  const Json& list = schema["allOf"];
  if (!list.is_array()) return bad(place, "has an 'allOf' that is no array");
  Json all = without_key(schema, "allOf");
  for (const Json& one : list.as_array()) all = TRY(joined(all, TRY(dereferenced(one, place)), place));
  return convert(all, {place.path, place.depth + 1});
}

Result<Part> SchemaRules::any_of(const Json& schema, const char* key, const Place& place) {
  const Json& list = schema[key];
  if (!list.is_array() || list.size() == 0)
    return bad(place, "has an '" + std::string(key) + "' that is no list of schemas");
  const Json rest = without_key(schema, key);
  std::vector<Part> parts;
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& one = list.as_array()[i];
    if (constrains(rest)) {
      const Json both = TRY(joined(rest, TRY(dereferenced(one, place)), place));
      parts.push_back(TRY(convert(both, place.in(key).in(i))));
    } else {
      parts.push_back(TRY(convert(one, place.in(key).in(i))));
    }
  }
  return rules_.choice(std::move(parts));
}

static bool is_of(const Json& value, std::string_view type) {
  if (type == "integer") {
    return value.is_int() || (value.is_number() && value.as_double() == std::floor(value.as_double()));
  }
  return (type == "null" && value.is_null()) || (type == "boolean" && value.is_bool()) ||
         (type == "number" && value.is_number()) || (type == "string" && value.is_string()) ||
         (type == "array" && value.is_array()) || (type == "object" && value.is_object());
}

Result<Part> SchemaRules::values(const Json& schema, const Json& list) const {
  const Json& type = schema["type"];
  std::vector<Part> parts;
  for (const Json& value : list.as_array()) {
    bool fits = type.is_null() || (type.is_string() && is_of(value, type.as_string()));
    for (size_t i = 0; !fits && i < type.size() && type.is_array(); ++i) {
      fits = type.as_array()[i].is_string() && is_of(value, type.as_array()[i].as_string());
    }
    if (fits) parts.push_back(rules_.text(value.dump()));
  }
  return rules_.choice(std::move(parts));
}

// What `type` says, else what the other keywords speak of.
Result<std::vector<std::string>> SchemaRules::types(const Json& schema, const Place& place) const {
  static constexpr std::pair<const char*, const char*> kSpeaksOf[] = {{"properties", "object"},
                                                                      {"required", "object"},
                                                                      {"additionalProperties", "object"},
                                                                      {"items", "array"},
                                                                      {"prefixItems", "array"},
                                                                      {"minItems", "array"},
                                                                      {"maxItems", "array"},
                                                                      {"minLength", "string"},
                                                                      {"maxLength", "string"},
                                                                      {"pattern", "string"},
                                                                      {"minimum", "number"},
                                                                      {"maximum", "number"},
                                                                      {"exclusiveMinimum", "number"},
                                                                      {"exclusiveMaximum", "number"}};
  std::vector<std::string> out;
  const auto add = [&](const std::string& type) {
    if (std::find(out.begin(), out.end(), type) == out.end()) out.push_back(type);
  };
  const Json& type = schema["type"];
  if (type.is_string()) add(type.as_string());
  if (type.is_array()) {
    for (const Json& one : type.as_array()) {
      if (!one.is_string()) return bad(place, "has a 'type' that is no string");
      add(one.as_string());
    }
  } else if (type.is_null()) {
    for (const auto& [key, kind] : kSpeaksOf) {
      if (schema.find(key) != nullptr) add(kind);
    }
    const Json& format = schema["format"];
    if (out.empty() && format.is_string()) add("string");
  } else if (!type.is_string()) {
    return bad(place, "has a 'type' that is no string");
  }
  return out;
}

Result<Part> SchemaRules::of_type(const std::string& type, const Json& schema, const Place& place) {
  if (type == "object") return object(schema, place);
  if (type == "array") return array(schema, place);
  if (type == "string") return string(schema, place);
  if (type == "number" || type == "integer") return number(schema, place, type == "integer");
  if (type == "boolean") return rules_.choice({rules_.text("true"), rules_.text("false")});
  if (type == "null") return rules_.text("null");
  return bad(place, "has the unknown type '" + type.substr(0, 40) + "'");
}

Result<int64_t> SchemaRules::size(const Json& schema, const char* key, int64_t otherwise,
                                  const Place& place) const {
  const Json* value = schema.find(key);
  if (value == nullptr) return otherwise;
  const bool whole = value->is_number() && value->as_double() == std::floor(value->as_double());
  if (!whole || value->as_double() < 0) return bad(place, std::string("has a '") + key + "' that is no size");
  if (value->as_double() > double(kMostRepeats)) {
    if (std::string_view(key).substr(0, 3) == "max") return kForever;  // more than an answer can hold
    return bad(place, std::string("has a '") + key + "' beyond " + std::to_string(kMostRepeats));
  }
  return int64_t(value->as_double());
}

Result<Part> SchemaRules::string(const Json& schema, const Place& place) {
  static const std::map<std::string_view, const char*> kFormats = {
      {"date",
       "^(\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2["
       "0-8])))$"},
      {"time", "^([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)$"},
      {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"}};
  const int64_t least = TRY(size(schema, "minLength", 0, place)),
                most = TRY(size(schema, "maxLength", kForever, place));
  if (most != kForever && most < least) return rules_.choice({});
  const bool sized = least > 0 || most != kForever;
  if (const Json* pattern = schema.find("pattern")) {
    if (!pattern->is_string()) return bad(place, "has a 'pattern' that is no string");
    if (sized) return unsupported(place, "pattern together with minLength or maxLength");
    return json_.quoted(TRY(pattern_part(rules_, pattern->as_string()).with(place.path)));
  }
  const Json& format = schema["format"];
  const std::string name = format.is_string() && !sized ? format.as_string() : "";
  if (name == "date-time") {
    const std::string date = kFormats.at("date"), time = kFormats.at("time");
    return json_.quoted(TRY(pattern_part(
        rules_, date.substr(0, date.size() - 1) + "T(" + time.substr(1, time.size() - 2) + ")$")));
  }
  if (const auto known = kFormats.find(name); known != kFormats.end()) {
    return json_.quoted(TRY(pattern_part(rules_, known->second)));
  }
  return json_.string(int32_t(least), int32_t(most));
}

Result<Part> SchemaRules::number(const Json& schema, const Place& place, bool whole) {
  Bounds bounds;
  const auto read = [&](const char* inside, const char* outside, std::optional<double>& bound, bool& excluded,
                        double sign) -> Status {
    for (const char* key : {inside, outside}) {
      const Json* value = schema.find(key);
      if (value == nullptr) continue;
      if (value->is_bool()) {  // draft 4: beside `minimum`
        excluded = value->as_bool() && bound.has_value();
        continue;
      }
      if (!value->is_number()) return bad(place, std::string("has a '") + key + "' that is no number");
      if (bound && sign * value->as_double() < sign * *bound) continue;
      bound = value->as_double();
      excluded = key == outside;
    }
    return {};
  };
  TRY(read("minimum", "exclusiveMinimum", bounds.least, bounds.above_least, 1));
  TRY(read("maximum", "exclusiveMaximum", bounds.most, bounds.below_most, -1));
  if (!bounds.least && !bounds.most) return whole ? json_.integer() : json_.number();
  const std::optional<Part> part = whole ? json_.whole_between(bounds) : json_.between(bounds);
  return part ? *part : rules_.choice({});
}

Keyword keyword(std::string_view name) {
  static const std::map<std::string_view, Keyword> kKeywords = [] {
    std::map<std::string_view, Keyword> all;
    for (const char* key : {"type",
                            "properties",
                            "required",
                            "additionalProperties",
                            "items",
                            "prefixItems",
                            "additionalItems",
                            "minItems",
                            "maxItems",
                            "minLength",
                            "maxLength",
                            "pattern",
                            "minimum",
                            "maximum",
                            "exclusiveMinimum",
                            "exclusiveMaximum",
                            "enum",
                            "const",
                            "anyOf",
                            "oneOf",
                            "allOf",
                            "$ref",
                            "nullable"}) {
      all[key] = Keyword::known;
    }
    for (const char* key : {"not",
                            "if",
                            "then",
                            "else",
                            "patternProperties",
                            "propertyNames",
                            "minProperties",
                            "maxProperties",
                            "dependentRequired",
                            "dependentSchemas",
                            "dependencies",
                            "unevaluatedProperties",
                            "unevaluatedItems",
                            "contains",
                            "minContains",
                            "maxContains",
                            "uniqueItems",
                            "multipleOf",
                            "$dynamicRef",
                            "$recursiveRef"}) {
      all[key] = Keyword::unsupported;
    }
    for (const char* key :
         {"title", "description", "default", "examples", "format", "$schema", "$id", "$comment", "$anchor",
          "$defs", "definitions", "deprecated", "readOnly", "writeOnly"}) {
      all[key] = Keyword::note;
    }
    return all;
  }();
  const auto known = kKeywords.find(name);
  return known == kKeywords.end() ? Keyword::unknown : known->second;
}

Result<Rule> schema_rules(const Json& schema, Rules& rules) {
  return SchemaRules(schema, rules).run();
}

}  // namespace varve::shape
