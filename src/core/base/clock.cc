#include "core/base/clock.h"

#include <charconv>
#include <chrono>
#include <cstdio>

namespace varve {
namespace {

using namespace std::chrono;

struct System : Clock {
  TimeMs now_ms() const override {
    return duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
};

// Takes exactly `width` digits from the front.
bool take(std::string_view& text, size_t width, int& value) {
  if (text.size() < width) return false;
  const char* end = text.data() + width;
  if (text[0] < '0' || text[0] > '9') return false;
  if (std::from_chars(text.data(), end, value).ptr != end) return false;
  text.remove_prefix(width);
  return true;
}
bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

// The part after the date: hh:mm[:ss[.mmm]][Z|+hh:mm|-hh:mm], as milliseconds to add.
bool time_of_day(std::string_view& text, int64_t& ms) {
  int hour = 0, minute = 0, second = 0, milli = 0;
  if (!take(text, 2, hour) || !take(text, ':') || !take(text, 2, minute)) return false;
  if (take(text, ':') && !take(text, 2, second)) return false;
  if (take(text, '.')) {
    if (!take(text, 3, milli)) return false;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') text.remove_prefix(1);
  }
  if (hour > 23 || minute > 59 || second > 60) return false;
  ms = ((hour * 60ll + minute) * 60 + second) * 1000 + milli;
  if (take(text, 'Z') || text.empty()) return true;
  const int sign = text[0] == '-' ? -1 : text[0] == '+' ? 1 : 0;
  if (sign == 0) return false;
  text.remove_prefix(1);
  if (!take(text, 2, hour) || !take(text, ':') || !take(text, 2, minute) || hour > 14 || minute > 59)
    return false;
  ms -= sign * (hour * 60ll + minute) * 60000;
  return true;
}

}  // namespace

const Clock& system_clock() {
  static const System clock;
  return clock;
}

std::string format_time(TimeMs time) {
  const auto point = sys_time<milliseconds>(milliseconds(time));
  const auto day = floor<days>(point);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<seconds>(point - day));
  char text[48];
  std::snprintf(text, sizeof(text), "%04d-%02u-%02uT%02d:%02d:%02dZ", int(date.year()),
                unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
                int(clock.minutes().count()), int(clock.seconds().count()));
  return text;
}

Result<TimeMs> parse_time(std::string_view text) {
  const std::string whole(text);
  int y = 0, m = 0, d = 0;
  int64_t ms = 0;
  const bool dated =
      take(text, 4, y) && take(text, '-') && take(text, 2, m) && take(text, '-') && take(text, 2, d);
  const year_month_day date{year(y), month(unsigned(m)), day(unsigned(d))};
  const bool timed = text.empty() || ((take(text, 'T') || take(text, ' ')) && time_of_day(text, ms));
  if (!dated || !date.ok() || !timed || !text.empty()) {
    return Status(Code::invalid,
                  "'" + whole.substr(0, 40) + "' is no date; write 2024-05-08 or 2024-05-08T13:56:00Z");
  }
  return duration_cast<milliseconds>(sys_days(date).time_since_epoch()).count() + ms;
}

}  // namespace varve
