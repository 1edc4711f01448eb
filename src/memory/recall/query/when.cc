#include "memory/recall/query/when.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "memory/recall/query/terms.h"

namespace varve {
namespace {

using namespace std::chrono;
using Day = sys_days;

constexpr TimeMs kDay = 86400000;
constexpr Day kFirst = Day(days(-1000000)), kLast = Day(days(1000000));  // "before" and "after" end there
constexpr std::array<std::string_view, 12> kMonths = {"january",   "february", "march",    "april",
                                                      "may",       "june",     "july",     "august",
                                                      "september", "october",  "november", "december"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sunday",   "monday", "tuesday", "wednesday",
                                                       "thursday", "friday", "saturday"};
constexpr std::array<std::string_view, 5> kSeasons = {"spring", "summer", "autumn", "winter", "fall"};
constexpr std::array<std::string_view, 13> kCounts = {"zero", "one",    "two",   "three", "four",
                                                      "five", "six",    "seven", "eight", "nine",
                                                      "ten",  "eleven", "twelve"};

struct Days {  // half open
  Day from, to;
};

TimeMs ms(Day day) {
  return TimeMs(day.time_since_epoch().count()) * kDay;
}
Day clamped(Day day) {
  return std::clamp(day, kFirst, kLast);
}

template <size_t N>
int place_in(const std::array<std::string_view, N>& names, std::string_view word) {
  const auto found = std::find(names.begin(), names.end(), word);
  return found == names.end() ? -1 : int(found - names.begin());
}
int month_named(std::string_view word) {  // "may", "february", "feb"
  for (size_t i = 0; i < kMonths.size(); ++i) {
    if (word == kMonths[i] || (word.size() == 3 && word == kMonths[i].substr(0, 3))) return int(i);
  }
  return -1;
}

Days month_days(int year, int month) {  // month from 0; beyond 11 counts on
  const auto first = std::chrono::year(year) / January / 1 + months(month);
  return {Day(first), Day(first + months(1))};
}
Days year_days(int year) {
  return {month_days(year, 0).from, month_days(year + 1, 0).from};
}
Days week_of(Day day) {  // from Monday
  const Day monday = day - (weekday(day) - Monday);
  return {monday, monday + days(7)};
}
int year_of(Day day) {
  return int(year_month_day(day).year());
}
int month_of(Day day) {
  return int(unsigned(year_month_day(day).month())) - 1;
}
Day months_on(Day day, int count) {  // the same day of another month, or its last
  const year_month_day date(day);
  const auto other = year_month(date.year() / date.month()) + months(count);
  const Day last = Day(other / std::chrono::last);
  return std::min(Day(other / 1) + (days(unsigned(date.day())) - days(1)), last);
}

enum class Unit : uint8_t { none, day, week, month, year };

Unit unit_of(std::string_view word) {
  if (word == "day" || word == "days" || word == "night" || word == "nights") return Unit::day;
  if (word == "week" || word == "weeks") return Unit::week;
  if (word == "month" || word == "months") return Unit::month;
  return word == "year" || word == "years" ? Unit::year : Unit::none;
}
int unit_days(Unit unit) {
  return unit == Unit::day ? 1 : unit == Unit::week ? 7 : unit == Unit::month ? 30 : 365;
}
Day shifted(Day day, Unit unit, int count) {
  if (unit == Unit::month) return months_on(day, count);
  if (unit == Unit::year) return months_on(day, 12 * count);
  return day + days(count * unit_days(unit));
}
// What "a week ago" covers: a day is exact, longer distances are rounder.
Days about(Day day, Unit unit) {
  const int slack = unit == Unit::day ? 0 : unit == Unit::week ? 3 : unit == Unit::month ? 15 : 182;
  return {day - days(slack), day + days(slack + 1)};
}

class Reader {
 public:
  Reader(std::string_view text, TimeMs reference)
      : words_(terms_of(text, {.stem = false, .stop = false})),
        today_(clamped(floor<days>(
            sys_time<milliseconds>(milliseconds(std::clamp(reference, ms(kFirst), ms(kLast))))))) {}

  TimeWords read() {
    TimeWords found;
    while (at_ < words_.size()) {
      const size_t before = at_;
      if (auto range = expression()) {
        found.ranges.push_back({ms(clamped(range->from)), ms(clamped(range->to))});
      } else if (!found.anchored && (at_ = before, found.anchored = anchored())) {
        break;
      } else {
        at_ = before + 1;
      }
    }
    return found;
  }

 private:
  std::string_view word(size_t ahead = 0) const {
    return at_ + ahead < words_.size() ? std::string_view(words_[at_ + ahead]) : std::string_view();
  }
  bool take(std::string_view wanted) {
    if (word() != wanted) return false;
    ++at_;
    return true;
  }
  bool take_any(std::initializer_list<std::string_view> wanted) {
    return std::any_of(wanted.begin(), wanted.end(), [&](std::string_view one) { return take(one); });
  }

  // A number in digits (with "st", "nd", "rd", "th") or letters.
  std::optional<int> number_at(size_t ahead) const {
    std::string_view text = word(ahead);
    for (std::string_view ending : {"st", "nd", "rd", "th"}) {
      if (text.size() > 2 && text.ends_with(ending) && text[0] >= '0' && text[0] <= '9')
        text.remove_suffix(2);
    }
    if (const int named = place_in(kCounts, text); named >= 0) return named;
    if (text.empty() || text.size() > 4) return std::nullopt;
    int value = 0;
    for (char c : text) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    return value;
  }
  std::optional<int> year_at(size_t ahead) const {
    const auto number = number_at(ahead);
    return number && word(ahead).size() == 4 && *number >= 1000 && *number <= 2999 ? number : std::nullopt;
  }
  std::optional<int> day_at(size_t ahead) const {
    const auto number = number_at(ahead);
    return number && *number >= 1 && *number <= 31 && word(ahead)[0] <= '9' ? number : std::nullopt;
  }

  std::optional<Days> expression() {
    const size_t start = at_;
    for (const auto attempt : {&Reader::bounded, &Reader::beside_date, &Reader::date, &Reader::named_day,
                               &Reader::relative, &Reader::counted}) {
      at_ = start;
      if (auto found = (this->*attempt)()) return found;
    }
    return std::nullopt;
  }

  std::optional<Days> bounded() {
    if (take_any({"since", "after"})) return open_range(true);
    if (take_any({"before", "until"})) return open_range(false);
    return take("between") ? between() : std::nullopt;
  }

  std::optional<Days> open_range(bool after) {
    take("the");
    const auto range = date();
    if (!range) return std::nullopt;
    return after ? Days{range->from, kLast} : Days{kFirst, range->from};
  }

  std::optional<Days> between() {
    const auto first = date();
    if (!first || !take("and")) return std::nullopt;
    const auto second = date();
    if (!second) return std::nullopt;
    return Days{std::min(first->from, second->from), std::max(first->to, second->to)};
  }

  // "week of 9 June", "the weekend before 9 June 2023", "Sunday before 25 May", "two days after 3 July".
  std::optional<Days> beside_date() {
    take("the");
    int count = number_at(0).value_or(1);
    if (number_at(0)) ++at_;
    const bool weekend = word() == "weekend";
    const int day = place_in(kWeekdays, word());
    const Unit unit = unit_of(word());
    if (weekend || day >= 0 || unit != Unit::none) {
      ++at_;
      const bool of = take("of"), before = !of && take("before"), after = !of && !before && take("after");
      take("the");
      const auto range = of || before || after ? date() : std::nullopt;
      if (range) return beside(*range, of ? 0 : before ? -count : count, unit, weekend ? 6 : day);
    }
    return std::nullopt;
  }
  static Days beside(const Days& range, int count, Unit unit, int day) {
    if (day < 0) {
      if (count == 0) return unit == Unit::week ? week_of(range.from) : range;
      if (unit == Unit::day) return {range.from + days(count), range.from + days(count + 1)};
      const Day other = shifted(range.from, unit, count);
      return {std::min(other, range.from), std::max(other, range.from) + days(count > 0 ? 1 : 0)};
    }
    const weekday wanted{unsigned(day)};
    Day found = range.from;
    if (count <= 0) found -= std::max(days(1), weekday(range.from) - wanted);
    if (count <= 0 && weekday(found) != wanted) found -= weekday(found) - wanted;
    if (count > 0) found += std::max(days(1), wanted - weekday(range.from));
    if (count > 0 && weekday(found) != wanted) found += wanted - weekday(found);
    return {found, found + days(day == 6 ? 2 : 1)};
  }

  // "8 May 2023", "May 8th, 2023", "May 2023", "in May", "2023-05-08", "in 2022".
  std::optional<Days> date() {
    const auto year = year_at(0);
    if (year) return iso(*year);
    size_t used = 0;
    auto day = day_at(0);
    if (day) used = word(1) == "of" ? 2 : 1;
    const int month = month_named(word(used));
    if (month < 0 || (!day && doubtful(month, used))) return std::nullopt;
    ++used;
    if (!day && (day = day_at(used))) ++used;
    auto stated = year_at(used);
    if (stated) ++used;
    at_ += used;
    if (!stated) stated = latest_year(month, day.value_or(1));
    const Days whole = month_days(*stated, month);
    if (!day) return whole;
    const Day exact = whole.from + days(*day - 1);
    if (exact >= whole.to) return std::nullopt;
    return Days{exact, exact + days(1)};
  }
  std::optional<Days> iso(int year) {
    const auto month = number_at(1), day = number_at(2);
    const bool dated = month && word(1).size() == 2 && *month >= 1 && *month <= 12;
    ++at_;
    if (!dated) return year_days(year);
    ++at_;
    const Days whole = month_days(year, *month - 1);
    if (!day || word(1).size() == 4 || *day < 1 || *day > 31) return whole;
    ++at_;
    const Day exact = whole.from + days(*day - 1);
    return exact < whole.to ? std::optional(Days{exact, exact + days(1)}) : std::nullopt;
  }
  // "may" and "march" are also other words: they count beside a number or after a word that wants a month.
  bool doubtful(int month, size_t used) const {
    if (month != 4 && word(used) != "march" && word(used) != "mar") return false;
    if (day_at(used + 1) || year_at(used + 1)) return false;
    static constexpr std::array<std::string_view, 12> before = {
        "in", "last", "next", "this", "of", "during", "since", "early", "late", "mid", "and", "between"};
    return at_ == 0 || place_in(before, words_[at_ - 1]) < 0;
  }
  int latest_year(int month, int day) const {  // the last one that has begun
    const int year = year_of(today_);
    return month_days(year, month).from + days(day - 1) > today_ ? year - 1 : year;
  }

  std::optional<Days> named_day() {
    take("the");
    if (word() == "day" && word(1) == "before" && word(2) == "yesterday") {
      at_ += 3;
      return Days{today_ - days(2), today_ - days(1)};
    }
    if (take("yesterday")) return Days{today_ - days(1), today_};
    if (take_any({"today", "tonight"})) return Days{today_, today_ + days(1)};
    if (take("tomorrow")) return Days{today_ + days(1), today_ + days(2)};
    return std::nullopt;
  }

  // "last week", "this month", "next Friday", "last May", "last summer", "the last three weeks".
  std::optional<Days> relative() {
    const int step = word() == "last" || word() == "past" || word() == "previous" ? -1
                     : word() == "next"                                           ? 1
                     : word() == "this"                                           ? 0
                                                                                  : 2;
    if (step == 2) return std::nullopt;
    ++at_;
    const auto count = number_at(0);
    if (count && step != 0 && unit_of(word(1)) != Unit::none) {
      const Day other = shifted(today_, unit_of(word(1)), step * *count);
      at_ += 2;
      return Days{std::min(other, today_), std::max(other, today_) + days(1)};
    }
    const std::string_view what = word();
    ++at_;
    if (const Unit unit = unit_of(what); unit != Unit::none) return whole_unit(unit, step);
    if (what == "weekend") {
      const Day saturday = week_of(today_).from + days(5 + 7 * step);
      return Days{saturday, saturday + days(2)};
    }
    if (const int day = place_in(kWeekdays, what); day >= 0)
      return near_weekday(weekday(unsigned(day)), step);
    if (const int month = month_named(what); month >= 0) return near_month(month, 1, step);
    if (const int season = place_in(kSeasons, what); season >= 0)
      return near_month(season == 4 ? 8 : 2 + 3 * season, 3, step);
    return std::nullopt;
  }
  Days whole_unit(Unit unit, int step) const {
    if (unit == Unit::day) return {today_ + days(step), today_ + days(step + 1)};
    if (unit == Unit::week) return week_of(today_ + days(7 * step));
    if (unit == Unit::month) return month_days(year_of(today_), month_of(today_) + step);
    return year_days(year_of(today_) + step);
  }
  Days near_weekday(weekday wanted, int step) const {
    Day day = week_of(today_).from + (wanted - Monday);
    if (step < 0) day = today_ - std::max(days(1), weekday(today_) - wanted);
    if (step < 0 && weekday(day) != wanted) day -= weekday(day) - wanted;
    if (step > 0) day = today_ + std::max(days(1), wanted - weekday(today_));
    if (step > 0 && weekday(day) != wanted) day += wanted - weekday(day);
    return {day, day + days(1)};
  }
  // The nearest whole one behind (-1) or before us (1), or this year's.
  Days near_month(int month, int count, int step) const {
    const auto in = [&](int year) {
      return Days{month_days(year, month).from, month_days(year, month + count - 1).to};
    };
    const int year = year_of(today_);
    if (step < 0) return in(year).to <= today_ ? in(year) : in(year - 1);
    return step > 0 && in(year).from <= today_ ? in(year + 1) : in(year);
  }

  // "two weeks ago", "a month ago", "a couple of days ago", "in three days".
  std::optional<Days> counted() {
    const bool ahead = take("in");
    const auto [count, used] = count_at();
    const Unit unit = unit_of(word(used));
    if (used == 0 || unit == Unit::none) return std::nullopt;
    at_ += used + 1;
    const bool past = take_any({"ago", "earlier"});
    if (ahead == past) return std::nullopt;
    return about(shifted(today_, unit, past ? -count : count), unit);
  }
  std::pair<int, size_t> count_at() const {
    if (word() == "a" && word(1) == "couple") return {2, word(2) == "of" ? 3u : 2u};
    if (word() == "a" && word(1) == "few") return {3, 2};
    if (word() == "a" || word() == "an") return {1, 1};
    if (const auto number = number_at(0)) return {*number, 1};
    return {0, 0};
  }

  // "two weeks before my birthday", "the day after the wedding", "before we moved to Oslo".
  std::optional<AnchoredTime> anchored() {
    AnchoredTime found;
    take("the");
    auto [count, used] = count_at();
    Unit unit = unit_of(word(used));
    if (used == 0) count = 1;
    if (unit != Unit::none) {
      at_ += used + 1;
    } else {
      found.open = true;
    }
    found.before = word() == "before";
    if (!take_any({"before", "after", "since"})) return std::nullopt;
    for (size_t taken = 0; at_ < words_.size() && taken < 6; ++taken) found.event += words_[at_++] + " ";
    if (found.event.empty()) return std::nullopt;
    found.event.pop_back();
    if (found.open) return found;
    found.days = (found.before ? -1 : 1) * count * unit_days(unit);
    found.span = unit == Unit::day ? 1 : unit == Unit::week ? 7 : unit == Unit::month ? 31 : 365;
    return found;
  }

  std::vector<std::string> words_;
  size_t at_ = 0;
  Day today_;
};

}  // namespace

TimeWords read_times(std::string_view text, TimeMs reference) {
  return Reader(text.substr(0, 4096), reference).read();
}

TimeRange range_around(const AnchoredTime& anchored, TimeMs event) {
  if (anchored.open) return anchored.before ? TimeRange{ms(kFirst), event} : TimeRange{event, ms(kLast)};
  const Day day = clamped(floor<days>(sys_time<milliseconds>(milliseconds(event)))) + days(anchored.days);
  const Day from = clamped(day - days(anchored.span / 2));
  return {ms(from), ms(clamped(from + days(anchored.span)))};
}

}  // namespace varve
