// Time as a value: where the time of day matters, a Clock is passed in, so tests can move it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace varve {

using TimeMs = int64_t;  // milliseconds since 1970-01-01T00:00:00Z; may be negative

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimeMs now_ms() const = 0;
};
const Clock& system_clock();

struct FixedClock : Clock {  // for tests and replays
  TimeMs time = 0;
  TimeMs now_ms() const override { return time; }
};

std::string format_time(TimeMs time);  // "2024-05-08T13:56:00Z"
Result<TimeMs> parse_time(
    std::string_view text);  // "2024-05-08", "2024-05-08T13:56", with :SS, .mmm, Z or +hh:mm

}  // namespace varve
