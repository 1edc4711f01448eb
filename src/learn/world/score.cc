#include "learn/world/score.h"

#include <algorithm>
#include <cmath>

#include "core/base/check.h"

namespace varve::world {
namespace {

// " you live in rome " : words in lower case, each between blanks.
std::string words_of(std::string_view text) {
  std::string out = " ";
  for (char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || uint8_t(c) >= 0x80;
    if (letter) {
      out += c;
    } else if (c >= 'A' && c <= 'Z') {
      out += char(c + 32);
    } else if (out.back() != ' ') {
      out += ' ';
    }
  }
  if (out.back() != ' ') out += ' ';
  return out;
}

// The one list that an operation's answer consists of; null: it is no such answer.
const Json* list_of(const Json& json, std::string_view name) {
  const Json* found = json.find(name);
  return found != nullptr && found->is_array() && json.size() == 1 ? found : nullptr;
}
std::string_view list_name(const Item& item) {
  return item.answer.find("\"facts\"") != item.answer.npos ? "facts" : "decisions";
}
std::vector<std::string> sorted(const Json& list) {
  std::vector<std::string> all;
  for (const Json& one : list.as_array())
    all.push_back(one.is_string() ? words_of(one.as_string())
                                  : one["fact"].dump() + one["action"].dump() + one["target"].dump());
  std::sort(all.begin(), all.end());
  return all;
}

bool same_operation(const Item& item, std::string_view reply) {
  const auto expected = parse_json(item.answer), got = parse_json(reply);
  if (!expected.ok() || !got.ok()) return false;
  const Json *a = list_of(*expected, list_name(item)), *b = list_of(*got, list_name(item));
  return a != nullptr && b != nullptr && sorted(*a) == sorted(*b);
}

}  // namespace

bool names(std::string_view text, std::string_view words) {
  const std::string wanted = words_of(words);
  return wanted.size() > 1 && words_of(text).find(wanted) != std::string::npos;
}

bool is_valid_operation(const Item& item, std::string_view reply) {
  const auto got = parse_json(reply);
  return got.ok() && list_of(*got, list_name(item)) != nullptr;
}

bool is_right(const Item& item, std::string_view reply) {
  if (!item.schema.empty()) return same_operation(item, reply);
  const bool wrong = std::any_of(item.wrong.begin(), item.wrong.end(),
                                 [&](const std::string& value) { return names(reply, value); });
  if (wrong) return false;
  const bool unknown = names(reply, "don't know") || names(reply, "do not know");
  if (item.answer == "unknown") return unknown;
  if (item.answer == "yes" || item.answer == "no")
    return words_of(reply).starts_with(" " + item.answer + " ");
  return !unknown && names(reply, item.answer);
}

Tally decided(const Item& item, std::string_view reply) {
  const auto expected = parse_json(item.answer), got = parse_json(reply);
  CHECK(expected.ok(), "an item's own answer is JSON");
  Tally tally;
  static const Json nothing = Json::array();
  const Json* taken = got.ok() ? list_of(*got, "decisions") : nullptr;
  const Json::Array& all = (taken != nullptr ? *taken : nothing).as_array();
  for (const Json& one : (*expected)["decisions"].as_array())
    tally.count(std::count(all.begin(), all.end(), one) == 1);
  return tally;
}

Interval wilson(const Tally& tally) {
  if (tally.asked == 0) return {0, 1};
  const double z = 1.959964, n = double(tally.asked), p = tally.share();
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

}  // namespace varve::world
