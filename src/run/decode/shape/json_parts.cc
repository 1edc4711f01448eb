#include "run/decode/shape/json_parts.h"

namespace varve::shape {

JsonParts::JsonParts(Rules& rules) : rules_(rules) {
  const auto as_rule = [&](Part part) { return rules_.call(rules_.rule(part)); };
  const Part blank = rules_.chars({{' ', ' '}, {'\t', '\t'}});
  space_ = as_rule(rules_.choice({rules_.nothing(), rules_.text(" "),
                                  rules_.sequence({rules_.text("\n"), rules_.repeat(blank, 0, 20)})}));

  const Part hex = rules_.chars({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
  const Part no_surrogate = rules_.choice(
      {rules_.sequence({rules_.chars({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}), hex}),
       rules_.sequence({rules_.chars({{'D', 'D'}, {'d', 'd'}}), rules_.chars({{'0', '7'}})})});
  const Part escape = rules_.choice({rules_.chars({{'"', '"'},
                                                   {'\\', '\\'},
                                                   {'/', '/'},
                                                   {'b', 'b'},
                                                   {'f', 'f'},
                                                   {'n', 'n'},
                                                   {'r', 'r'},
                                                   {'t', 't'}}),
                                     rules_.sequence({rules_.text("u"), no_surrogate, hex, hex})});
  character_ =
      as_rule(rules_.choice({rules_.chars(inverted({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, 0x7F}})),
                             rules_.sequence({rules_.text("\\"), escape})}));
  string_ = as_rule(quoted(rules_.repeat(character_, 0, kForever)));

  const Part digit = rules_.chars({{'0', '9'}});
  const Part whole = rules_.choice(
      {rules_.text("0"), rules_.sequence({rules_.chars({{'1', '9'}}), rules_.repeat(digit, 0, 14)})});
  const Part fraction = rules_.sequence({rules_.text("."), rules_.repeat(digit, 1, 15)});
  const Part exponent =
      rules_.sequence({rules_.chars({{'e', 'e'}, {'E', 'E'}}),
                       rules_.optional(rules_.chars({{'+', '+'}, {'-', '-'}})), rules_.repeat(digit, 1, 2)});
  const Part minus = rules_.optional(rules_.text("-"));
  integer_ = as_rule(rules_.sequence({minus, whole}));
  number_ = as_rule(rules_.sequence({minus, whole, rules_.optional(fraction), rules_.optional(exponent)}));
}

Part JsonParts::string(int32_t least, int32_t most) {
  if (least == 0 && most == kForever) return string_;
  return quoted(rules_.repeat(character_, least, most));
}

// A part made before is used again; 0 is never one.
Part JsonParts::any(int depth) {
  Part& made = any_[size_t(depth)];
  if (made != 0) return made;
  std::vector<Part> kinds{string_, number_, rules_.text("true"), rules_.text("false"), rules_.text("null")};
  if (depth > 0) kinds.insert(kinds.end(), {any_object(depth), any_array(depth)});
  made = rules_.call(rules_.rule(rules_.choice(std::move(kinds))));
  return made;
}

Part JsonParts::any_object(int depth) {
  Part& made = objects_[size_t(depth)];
  if (made != 0) return made;
  const Part one = member(string_, any(depth - 1));
  const Part members = rules_.sequence({one, rules_.repeat(comma(one), 0, kForever)});
  made = rules_.call(rules_.rule(wrapped("{", rules_.optional(members), "}")));
  return made;
}

Part JsonParts::any_array(int depth) {
  Part& made = arrays_[size_t(depth)];
  if (made != 0) return made;
  const Part one = any(depth - 1);
  const Part items = rules_.sequence({one, rules_.repeat(comma(one), 0, kForever)});
  made = rules_.call(rules_.rule(wrapped("[", rules_.optional(items), "]")));
  return made;
}

Part json_chars(Rules& rules, const Ranges& ranges) {
  static constexpr std::pair<char, const char*> kEscapes[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"},
                                                              {'\r', "\\r"}, {'\t', "\\t"},  {'\b', "\\b"},
                                                              {'\f', "\\f"}};
  std::vector<Part> parts;
  Ranges plain = without(ranges, {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, 0x7F}});
  if (!plain.empty()) parts.push_back(rules.chars(std::move(plain)));
  for (const auto& [c, text] : kEscapes) {
    for (const Range range : ranges) {
      if (uint32_t(c) < range.first || uint32_t(c) > range.last) continue;
      parts.push_back(rules.text(text));
      break;
    }
  }
  return rules.choice(std::move(parts));
}

Rule any_object(Rules& rules) {
  return rules.rule(JsonParts(rules).any_object());
}

}  // namespace varve::shape
