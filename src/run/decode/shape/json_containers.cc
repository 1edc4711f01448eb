// Arrays and objects.
#include <algorithm>

#include "run/decode/shape/schema_rules.h"

namespace varve::shape {

constexpr size_t kNameBytes = 200;  // of a property beside which further ones are allowed

Result<Part> SchemaRules::array(const Json& schema, const Place& place) {
  const Json* items = schema.find("items");
  const Json* firsts = schema.find("prefixItems");
  const Json* rest = items;
  if (firsts == nullptr && items != nullptr && items->is_array()) {  // as draft 7 wrote it
    firsts = items;
    rest = schema.find("additionalItems");
  }
  if (firsts != nullptr && !firsts->is_array()) return bad(place, "has a 'prefixItems' that is no array");
  const int64_t fixed = firsts == nullptr ? 0 : int64_t(firsts->size());
  int64_t most = TRY(size(schema, "maxItems", kForever, place));
  int64_t least = TRY(size(schema, "minItems", most == kForever ? fixed : std::min(fixed, most), place));
  const bool closed =
      (rest == nullptr && fixed > 0) || (rest != nullptr && rest->is_bool() && !rest->as_bool());
  if (closed) most = most == kForever ? fixed : std::min(most, fixed);
  if (most != kForever && most < least) return rules_.choice({});
  Part more = rules_.nothing();  // everything after the firsts, each with its comma
  Part other = 0;
  if (most == kForever || most > fixed) {
    other = rest == nullptr ? json_.any() : TRY(convert(*rest, place.in("items")));
    other = rules_.call(rules_.rule(other));
    const int64_t written = std::max<int64_t>(fixed, 1);
    more = rules_.repeat(json_.comma(other), int32_t(std::max<int64_t>(least - written, 0)),
                         most == kForever ? kForever : int32_t(most - written));
  }
  if (most == 0) return json_.wrapped("[", rules_.nothing(), "]");
  for (int64_t i = most == kForever ? fixed : std::min(fixed, most); i-- > 1;) {
    const Part one = TRY(convert(firsts->as_array()[size_t(i)], place.in("prefixItems").in(size_t(i))));
    const Part tail = rules_.sequence({json_.comma(one), more});
    more = rules_.call(rules_.rule(i < least ? tail : rules_.optional(tail)));
  }
  const Part first =
      fixed > 0 ? TRY(convert(firsts->as_array()[0], place.in("prefixItems").in(size_t(0)))) : other;
  const Part all = rules_.sequence({first, more});
  return json_.wrapped("[", least > 0 ? all : rules_.optional(all), "]");
}

// The named members in their order, and whether each must be there.
Result<std::vector<std::pair<std::string, bool>>> SchemaRules::members(const Json& schema,
                                                                       const Place& place) const {
  std::vector<std::pair<std::string, bool>> out;
  std::unordered_map<std::string, size_t> index;
  const Json& properties = schema["properties"];
  if (!properties.is_null() && !properties.is_object())
    return bad(place, "has 'properties' that are no object");
  if (properties.is_object()) {
    for (const auto& [name, one] : properties.as_object()) {
      index.emplace(name, out.size());
      out.emplace_back(name, false);
    }
  }
  const Json& required = schema["required"];
  if (required.is_bool()) return out;  // draft 3
  if (!required.is_null() && !required.is_array()) return bad(place, "has a 'required' that is no array");
  for (size_t i = 0; i < required.size(); ++i) {
    const Json& name = required.as_array()[i];
    if (!name.is_string()) return bad(place, "has a 'required' that is no list of names");
    const auto [at, fresh] = index.emplace(name.as_string(), out.size());
    if (fresh) out.emplace_back(name.as_string(), false);
    out[at->second].second = true;
  }
  return out;
}

// The rest of a name that is none of names[from..to), which are sorted and alike before `at`. Of plain
// characters.
Part SchemaRules::other_name(const std::vector<std::string>& names, size_t from, size_t to, size_t at) {
  const Ranges plain = inverted({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, 0x7F}});
  Ranges taken;
  std::vector<Part> parts;
  if (from < to && names[from].size() == at) {
    ++from;  // the name ends here, and so must not this one
  } else {
    parts.push_back(rules_.nothing());
  }
  while (from < to) {
    const uint8_t byte = uint8_t(names[from][at]);
    size_t end = from + 1;
    while (end < to && uint8_t(names[end][at]) == byte) ++end;
    if (byte >= 0x80) {  // only ASCII is told apart further: no name goes on with any other character
      taken.push_back({0x80, 0x10FFFF});
    } else {
      taken.push_back({byte, byte});
      const Part rest = other_name(names, from, end, at + 1);
      parts.push_back(rules_.sequence({rules_.text(std::string(1, char(byte))), rest}));
    }
    from = end;
  }
  const Part any = rules_.repeat(rules_.chars(plain), 0, kForever);
  parts.push_back(rules_.sequence({rules_.chars(without(plain, taken)), any}));
  return rules_.choice(std::move(parts));
}

// A member that has none of the known names; 0 when there can be none.
Result<Part> SchemaRules::more_member(const Json& schema,
                                      const std::vector<std::pair<std::string, bool>>& members,
                                      const Place& place) {
  const Json* more = schema.find("additionalProperties");
  if (more == nullptr && !members.empty()) return 0;
  if (more != nullptr && more->is_bool() && !more->as_bool()) return 0;
  const Part value = more == nullptr ? json_.any() : TRY(convert(*more, place.in("additionalProperties")));
  std::vector<std::string> names;
  for (const auto& [name, required] : members) {
    if (name.size() > kNameBytes)
      return bad(place, "has a name too long to stand beside additionalProperties");
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return json_.member(json_.quoted(names.empty() ? rules_.repeat(json_.character(), 0, kForever)
                                                 : other_name(names, 0, names.size(), 0)),
                      rules_.call(rules_.rule(value)));
}

// Two chains of rules: `begun` after the first member, where commas are needed, and `fresh` before it.
Result<Part> SchemaRules::object(const Json& schema, const Place& place) {
  const auto members = TRY(this->members(schema, place));
  if (members.size() > size_t(kRules) / 3) return bad(place, "names too many members");  // three rules each
  const Part more = TRY(more_member(schema, members, place));
  Part begun = more == 0 ? rules_.nothing() : rules_.repeat(json_.comma(more), 0, kForever);
  Part fresh = more == 0 ? rules_.nothing() : rules_.optional(rules_.sequence({more, begun}));
  for (size_t i = members.size(); i-- > 0;) {
    const auto& [name, required] = members[i];
    const Json* own = schema["properties"].find(name);
    const Part value = own == nullptr ? json_.any() : TRY(convert(*own, place.in("properties").in(name)));
    const Part one = rules_.call(rules_.rule(json_.member(json_.literal(Json(name)), value)));
    const Part then = rules_.sequence({json_.comma(one), begun}), first = rules_.sequence({one, begun});
    begun = rules_.call(rules_.rule(required ? then : rules_.choice({then, begun})));
    fresh = rules_.call(rules_.rule(required ? first : rules_.choice({first, fresh})));
    if (rules_.full()) return invalid("the schema is too large");
  }
  return json_.wrapped("{", fresh, "}");
}

}  // namespace varve::shape
