#include "serve/http/memory/filter.h"

#include <algorithm>
#include <optional>

namespace varve {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  return out;
}

bool joins(std::string_view key) {
  return key == "AND" || key == "OR" || key == "NOT";
}

// Below zero, zero, above; nullopt when the two cannot be compared. Dates are written so that their text
// sorts as they do.
std::optional<int> order(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number())
    return a.as_double() < b.as_double() ? -1 : a.as_double() > b.as_double();
  if (!a.is_string() || !b.is_string()) return std::nullopt;
  return a.as_string() < b.as_string() ? -1 : a.as_string() > b.as_string();
}

bool contains(const Json& have, const Json& want, bool any_case) {
  if (have.is_array()) {
    return std::any_of(have.as_array().begin(), have.as_array().end(),
                       [&](const Json& one) { return one == want; });
  }
  if (!have.is_string() || !want.is_string()) return false;
  return any_case ? lower(have.as_string()).find(lower(want.as_string())) != std::string::npos
                  : have.as_string().find(want.as_string()) != std::string::npos;
}

bool one_of(const Json& have, const Json& many) {
  return many.is_array() && std::any_of(many.as_array().begin(), many.as_array().end(),
                                        [&](const Json& one) { return one == have; });
}

struct Operator {
  std::string_view name;
  bool (*holds)(const Json& have, const Json& want);
};
constexpr Operator kOperators[] = {
    {"eq", [](const Json& a, const Json& b) { return a == b; }},
    {"ne", [](const Json& a, const Json& b) { return !(a == b); }},
    {"in", one_of},
    {"nin", [](const Json& a, const Json& b) { return !one_of(a, b); }},
    {"gt", [](const Json& a, const Json& b) { return order(a, b).value_or(0) > 0; }},
    {"gte", [](const Json& a, const Json& b) { return order(a, b).value_or(-1) >= 0; }},
    {"lt", [](const Json& a, const Json& b) { return order(a, b).value_or(0) < 0; }},
    {"lte", [](const Json& a, const Json& b) { return order(a, b).value_or(1) <= 0; }},
    {"contains", [](const Json& a, const Json& b) { return contains(a, b, false); }},
    {"icontains", [](const Json& a, const Json& b) { return contains(a, b, true); }},
};

const Operator* find(std::string_view name) {
  for (const Operator& one : kOperators) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

bool field_passes(const Json& want, const Json& have) {
  if (want == Json("*")) return !have.is_null();
  if (!want.is_object()) return want == have;
  return std::all_of(want.as_object().begin(), want.as_object().end(), [&](const Json::Member& one) {
    const Operator* by = find(one.first);
    return by != nullptr && by->holds(have, one.second);
  });
}

// The metadata's members are named one by one: {"metadata": {"topic": "food"}}.
bool metadata_passes(const Json& want, const Json& have) {
  return want.is_object() &&
         std::all_of(want.as_object().begin(), want.as_object().end(),
                     [&](const Json::Member& one) { return field_passes(one.second, have[one.first]); });
}

bool member_passes(std::string_view key, const Json& want, const Json& memory) {
  const auto passes_too = [&](const Json& one) { return passes(one, memory); };
  if (joins(key)) {
    const Json::Array& parts = want.as_array();
    if (key == "AND") return std::all_of(parts.begin(), parts.end(), passes_too);
    if (key == "OR") return std::any_of(parts.begin(), parts.end(), passes_too);
    return std::none_of(parts.begin(), parts.end(), passes_too);
  }
  if (key == "metadata") return metadata_passes(want, memory["metadata"]);
  const Json* own = memory.find(key);
  return field_passes(want, own != nullptr ? *own : memory["metadata"][key]);
}

}  // namespace

Status check_filter(const Json& filter) {
  if (!filter.is_object()) return Status(Code::invalid, "a filter must be an object");
  for (const auto& [key, want] : filter.as_object()) {
    if (joins(key)) {
      if (!want.is_array())
        return Status(Code::invalid, "'" + key + "' in a filter must be a list of filters");
      for (const Json& one : want.as_array()) TRY(check_filter(one));
    } else if (want.is_object() && key != "metadata") {
      for (const auto& [name, value] : want.as_object()) {
        if (find(name) == nullptr)
          return Status(Code::invalid,
                        "a filter knows eq, ne, in, nin, gt, gte, lt, lte, contains and icontains");
      }
    }
  }
  return {};
}

bool passes(const Json& filter, const Json& memory) {
  return std::all_of(filter.as_object().begin(), filter.as_object().end(),
                     [&](const Json::Member& one) { return member_passes(one.first, one.second, memory); });
}

}  // namespace varve
