#include "memory/recall/query/aggregate.h"

#include <algorithm>
#include <array>
#include <map>

#include "memory/recall/query/terms.h"

namespace varve {
namespace {

using Kind = AggregatePlan::Kind;
using Group = AggregatePlan::Group;
constexpr size_t kMostCubes = 1000;      // shown as evidence; the count is of all
constexpr size_t kMostMeasured = 10000;  // read for an extreme
constexpr size_t kGroupsInWords = 10;

// Words of the asking, not of what is asked about.
constexpr std::array<std::string_view, 73> kAsking = {"all",
                                                      "chronological",
                                                      "chronologically",
                                                      "conversation",
                                                      "conversations",
                                                      "count",
                                                      "date",
                                                      "dates",
                                                      "day",
                                                      "days",
                                                      "discuss",
                                                      "discussed",
                                                      "earliest",
                                                      "every",
                                                      "first",
                                                      "frequently",
                                                      "latest",
                                                      "last",
                                                      "list",
                                                      "many",
                                                      "memories",
                                                      "memory",
                                                      "mention",
                                                      "mentioned",
                                                      "mentions",
                                                      "message",
                                                      "messages",
                                                      "month",
                                                      "most",
                                                      "name",
                                                      "newest",
                                                      "note",
                                                      "notes",
                                                      "number",
                                                      "often",
                                                      "oldest",
                                                      "order",
                                                      "person",
                                                      "previous",
                                                      "recent",
                                                      "recently",
                                                      "recorded",
                                                      "remember",
                                                      "said",
                                                      "say",
                                                      "session",
                                                      "sessions",
                                                      "show",
                                                      "sort",
                                                      "sorted",
                                                      "speak",
                                                      "speaker",
                                                      "spoke",
                                                      "talk",
                                                      "talked",
                                                      "tell",
                                                      "time",
                                                      "times",
                                                      "told",
                                                      "total",
                                                      "turns",
                                                      "year",
                                                      "years",
                                                      "how",
                                                      "me",
                                                      "entries",
                                                      "go",
                                                      "going",
                                                      "went",
                                                      "gone",
                                                      "ever",
                                                      "happen",
                                                      "happened"};

struct Words {
  std::vector<std::string> all;
  bool has(std::string_view word) const { return std::find(all.begin(), all.end(), word) != all.end(); }
  bool any(std::initializer_list<std::string_view> words) const {
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return has(word); });
  }
  bool phrase(std::string_view first, std::string_view second) const {
    for (size_t i = 0; i + 1 < all.size(); ++i) {
      if (all[i] == first && all[i + 1] == second) return true;
    }
    return false;
  }
};

bool memories(const Words& words) {
  return words.any({"memories", "memory", "notes", "note", "messages", "message", "mentions", "mention",
                    "times", "conversations", "conversation", "sessions", "session", "entries", "turns"});
}

Group group_of(const Words& words) {
  if (words.any({"who", "speaker", "person", "whom"})) return Group::speaker;
  if (words.any({"session", "sessions", "conversation", "conversations"})) return Group::session;
  if (words.any({"day", "days", "date"})) return Group::day;
  if (words.any({"month", "months"})) return Group::month;
  return words.any({"year", "years"}) ? Group::year : Group::none;
}

int32_t number_in(const Words& words) {
  static constexpr std::array<std::string_view, 11> names = {
      "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"};
  for (const std::string& word : words.all) {
    const auto named = std::find(names.begin(), names.end(), word);
    if (named != names.end() && named != names.begin()) return int32_t(named - names.begin());
    if (word.size() <= 3 &&
        std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      const int value = std::stoi(word);
      if (value > 0) return value;
    }
  }
  return 1;
}

std::optional<Kind> kind_of(const Words& words, Group group) {
  const bool counts =
      words.phrase("how", "often") || words.phrase("how", "many") || words.phrase("number", "of");
  if (words.has("most") && (words.any({"often", "frequently", "times"}) || words.phrase("the", "most")) &&
      group != Group::none && !words.has("recent")) {
    return Kind::most;
  }
  if (counts && (memories(words) || words.has("often"))) return Kind::count;
  if (words.has("count") && memories(words)) return Kind::count;
  const bool asked_time = memories(words) || words.has("time") || words.has("when");
  if (words.any({"first", "earliest", "oldest"}) && asked_time) return Kind::first;
  if ((words.any({"last", "latest", "newest"}) || words.phrase("most", "recent")) && asked_time)
    return Kind::last;
  const bool everything = words.any({"all", "every"}) && words.any({"list", "show"});
  if (everything || words.any({"chronological", "chronologically"}) ||
      (words.any({"sort", "sorted", "order"}) && words.any({"date", "time"}))) {
    return Kind::list;
  }
  return std::nullopt;
}

std::string group_name(Group group, const Entries& entries, uint32_t slot) {
  const Entries::Entry& entry = entries[slot];
  if (group == Group::speaker) return entries.speaker_name(slot);
  if (group == Group::session) return entries.session_name(slot);
  const std::string date = format_time(entry.event.value_or(entry.recorded));
  return date.substr(0, group == Group::day ? 10 : group == Group::month ? 7 : 4);
}

// Has every word, in time, by the one who is meant.
bool matches(const AggregatePlan& plan, const Question& question, const Entries::Entry& entry) {
  const TimeMs when = entry.event.value_or(entry.recorded);
  if (!plan.times.empty() && std::none_of(plan.times.begin(), plan.times.end(),
                                          [&](const TimeRange& range) { return range.contains(when); })) {
    return false;
  }
  const Entries::Space& space = *entry.space;
  std::set<uint32_t> speakers;
  const auto user = space.speakers.find("user");
  if (plan.by_asker && user != space.speakers.end()) speakers.insert(user->second);
  if (plan.extreme)  // its words are looked for sentence by sentence
    return speakers.empty() || entry.speaker == 0 || speakers.contains(entry.speaker);
  for (const std::string& term : question.terms) {
    const TermKey key = term_key(term);
    for (auto [at, end] = space.names.equal_range(key); at != end; ++at) speakers.insert(at->second);
    const uint32_t number = space.keys.find(key);
    if (!space.is_name(key) && (number == Entries::kNone || entry.times(number) == 0)) return false;
  }
  return speakers.empty() || speakers.contains(entry.speaker);
}

}  // namespace

std::optional<AggregatePlan> read_aggregate(std::string_view text, TimeMs reference) {
  const Words words{terms_of(text.substr(0, 1024), {.stem = false, .stop = false})};
  AggregatePlan plan;
  plan.group = group_of(words);
  const auto kind = kind_of(words, plan.group);
  plan.times = read_times(text, reference).ranges;
  if (!kind || kind == Kind::list) plan.extreme = read_extreme(text);
  if (plan.extreme) {
    plan.kind = Kind::extreme;
    plan.group = Group::none;
    plan.words = plan.extreme->words;
    plan.by_asker = words.any({"i", "my"});
    return plan;
  }
  if (!kind) return std::nullopt;
  plan.kind = *kind;
  if (plan.kind != Kind::most && plan.kind != Kind::count) plan.group = Group::none;
  if (plan.kind == Kind::first || plan.kind == Kind::last) plan.k = number_in(words);
  plan.by_asker = words.phrase("did", "i") || words.phrase("have", "i") || words.phrase("i", "said") ||
                  words.phrase("i", "mentioned");
  for (const std::string& word : terms_of(text.substr(0, 1024), {.stem = false})) {
    const Tells tells = read_tells(word);
    if (tells.time || tells.number || std::find(kAsking.begin(), kAsking.end(), word) != kAsking.end())
      continue;
    plan.words += (plan.words.empty() ? "" : " ") + word;
  }
  return plan.words.empty() ? std::nullopt : std::optional(plan);
}

Aggregate run_aggregate(const AggregatePlan& plan, const Entries& entries, std::span<const uint32_t> slots) {
  Aggregate result{.plan = plan, .count = 0, .groups = {}, .cubes = {}, .evidence = {}};
  const Question question = read_question(plan.words);
  std::vector<std::pair<TimeMs, uint32_t>> found;
  std::map<std::string, int64_t> groups;
  for (uint32_t slot : slots) {
    const Entries::Entry& entry = entries[slot];
    if (!matches(plan, question, entry)) continue;
    ++result.count;
    found.emplace_back(entry.event.value_or(entry.recorded), slot);
    if (plan.group != Group::none) ++groups[group_name(plan.group, entries, slot)];
  }
  std::sort(found.begin(), found.end(), [&](const auto& a, const auto& b) {
    return std::tuple(a.first, entries[a.second].turn, entries.id(a.second)) <
           std::tuple(b.first, entries[b.second].turn, entries.id(b.second));
  });
  if (plan.kind == Kind::last) std::reverse(found.begin(), found.end());
  const bool few = plan.kind == Kind::first || plan.kind == Kind::last;
  const size_t shown = few ? size_t(plan.k) : plan.extreme ? kMostMeasured : kMostCubes;
  for (size_t i = 0; i < std::min(found.size(), shown); ++i)
    result.cubes.push_back(entries.id(found[i].second));
  result.groups.assign(groups.begin(), groups.end());
  std::stable_sort(result.groups.begin(), result.groups.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return result;
}

// Kilometres and hours have no common order, nor have two currencies: the kind that most cubes have decides.
bool rank_extreme(Aggregate& counted, std::vector<std::pair<CubeId, Number>> found) {
  const Extreme& extreme = *counted.plan.extreme;
  std::map<std::pair<Quantity, std::string>, int64_t> kinds;
  for (const auto& [id, number] : found) ++kinds[{number.measure, number.currency}];
  if (kinds.empty()) return false;
  const auto most = std::max_element(kinds.begin(), kinds.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  std::erase_if(found, [&](const auto& one) {
    return std::pair(one.second.measure, one.second.currency) != most->first;
  });
  std::stable_sort(found.begin(), found.end(), [&](const auto& a, const auto& b) {
    return extreme.greatest ? a.second.value > b.second.value : a.second.value < b.second.value;
  });
  counted.count = int64_t(found.size());
  counted.cubes.clear();
  for (size_t i = 0; i < std::min({found.size(), size_t(extreme.k), kMostCubes}); ++i) {
    counted.cubes.push_back(found[i].first);
    counted.values.push_back(found[i].second.words);
  }
  return true;
}

std::string extreme_in_words(const Aggregate& counted) {
  std::string line = "Of " + std::to_string(counted.count) + (counted.count == 1 ? " memory" : " memories") +
                     " with such a number for '" + counted.plan.words + "', " +
                     (counted.plan.extreme->greatest ? "from the greatest: " : "from the least: ");
  for (size_t i = 0; i < std::min(counted.values.size(), kGroupsInWords); ++i)
    line += (i == 0 ? "" : "; ") + counted.values[i];
  return line + ".";
}

std::string in_words(const Aggregate& counted) {
  if (counted.plan.extreme) return extreme_in_words(counted);
  std::string line = std::to_string(counted.count) +
                     (counted.count == 1 ? " memory speaks of '" : " memories speak of '") +
                     counted.plan.words + "', of all there are";
  for (size_t i = 0; i < std::min(counted.groups.size(), kGroupsInWords); ++i) {
    const auto& [name, count] = counted.groups[i];
    line += (i == 0 ? ": " : ", ") + (name.empty() ? "(nobody)" : name) + " " + std::to_string(count);
  }
  return line + ".";
}

}  // namespace varve
