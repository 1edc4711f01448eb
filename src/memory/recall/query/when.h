// When: expressions of time in a text, resolved against a reference date ("last May", "two weeks ago", "the
// week of 9 June", "in 2022", "yesterday"). English; UTC. A text without any gives none; nothing is guessed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"

namespace varve {

struct TimeRange {  // half open
  TimeMs from = 0, to = 0;
  bool contains(TimeMs time) const { return from <= time && time < to; }
};

// "two weeks before my birthday": the event is looked up in memory, then the distance is counted from it.
struct AnchoredTime {
  std::string event;  // "my birthday"
  int32_t days = 0;   // from the event: negative is before
  int32_t span = 1;   // days that the expression covers
  bool open = false;  // no distance was said: all the time before or after it
  bool before = false;
};

struct TimeWords {
  std::vector<TimeRange> ranges;  // in order of the text
  std::optional<AnchoredTime> anchored;
};

TimeWords read_times(std::string_view text, TimeMs reference);
TimeRange range_around(const AnchoredTime& anchored, TimeMs event);

}  // namespace varve
