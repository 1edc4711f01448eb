// Aggregate: questions about all memories at once, answered by counting, not by what is nearest. "How often
// did I mention X", "when did we first speak of X", "the last three notes on X", "who spoke most of X", "list
// all about X by date", "the most expensive X". Rules, English: a question that fits none is none of them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "memory/recall/entries.h"
#include "memory/recall/present.h"
#include "memory/recall/query/extreme.h"
#include "memory/recall/query/when.h"

namespace varve {

struct AggregatePlan {
  enum class Kind : uint8_t { count, first, last, list, most, extreme } kind = Kind::count;
  enum class Group : uint8_t { none, speaker, session, day, month, year } group = Group::none;
  std::string words;             // that a cube must have, all of them
  std::vector<TimeRange> times;  // it must lie in one, if there are any
  bool by_asker = false;         // "did I ...": said by the user
  int32_t k = 1;                 // of first and last
  std::optional<Extreme> extreme;
};

struct Aggregate {
  AggregatePlan plan;
  int64_t count = 0;                                    // cubes that match, all of them
  std::vector<std::pair<std::string, int64_t>> groups;  // most first; where the question asks for groups
  std::vector<CubeId> cubes;                            // those that answer, in the order asked for
  std::vector<std::string> values;  // of those cubes, as written, where an extreme is asked for
  std::vector<Recalled> evidence;   // the same with their words, as far as the allowance goes
};

std::optional<AggregatePlan> read_aggregate(std::string_view text, TimeMs reference);
// Over `slots`: every cube that has any of the words. Of an extreme these are only those in question:
// rank_extreme has the last word.
Aggregate run_aggregate(const AggregatePlan& plan, const Entries& entries, std::span<const uint32_t> slots);
// `found`: numbers of cubes, in the order of time. False: there are none.
bool rank_extreme(Aggregate& counted, std::vector<std::pair<CubeId, Number>> found);
// "4 memories speak of 'bread', of all there are: Ann 3, Bob 1."
std::string in_words(const Aggregate& counted);

}  // namespace varve
