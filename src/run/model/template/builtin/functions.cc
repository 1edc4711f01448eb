// Functions that every template can call.
#include <algorithm>
#include <chrono>

#include "run/model/template/builtin/builtin.h"
#include "run/model/template/print.h"
#include "run/model/template/things.h"

namespace varve::jinja {
namespace {

Result<Value> range(Run& run, const Value&, Bound& args) {
  int64_t from = 0, to = TRY(want_integer(run, args[0], "range()'s bound")), step = 1;
  if (args.has(1)) {
    from = to;
    to = TRY(want_integer(run, args[1], "range()'s bound"));
  }
  if (args.has(2)) step = TRY(want_integer(run, args[2], "range()'s step"));
  if (step == 0) return run.fail("range() arg 3 must not be zero");
  const double count = (double(to) - double(from)) / double(step);
  if (count > double(kRange)) return run.fail("range too big: the longest is 100000");
  std::vector<Value> items;
  for (int64_t i = from; step > 0 ? i < to : i > to;) {
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value(TRY(run.list(std::move(items))));
}

Result<Dict*> dict_of(Run& run, Bound& args) {
  Dict* dict = TRY(run.dict());
  if (!args.rest.empty()) {
    const Value& from = args.rest[0];
    if (const Dict* other = from.dict()) {
      for (const auto& entry : other->entries) TRY(dict_set(run, *dict, entry.key, entry.value));
    } else {
      const List* pairs = TRY(run.iterate(from));
      for (size_t i = 0; i < pairs->size(); ++i) {
        const List* pair = TRY(run.iterate(pairs->items_of[i]));
        if (pair->size() != 2) return run.fail("dict() needs pairs");
        TRY(dict_set(run, *dict, pair->items_of[0], pair->items_of[1]));
      }
    }
  }
  for (auto& [name, value] : args.named) TRY(dict_set(run, *dict, Value(name), value));
  return dict;
}

std::string two(unsigned number, char pad = '0') {
  return (number < 10 ? std::string(1, pad) : std::string()) + std::to_string(number);
}

struct Moment {  // UTC
  std::chrono::year_month_day date;
  unsigned hour, minute, second, millisecond, weekday, day_of_year;
};

Moment moment(TimeMs now) {
  using namespace std::chrono;
  constexpr TimeMs kFarthest = 253402300799999;  // the end of the year 9999
  const sys_time<milliseconds> time(milliseconds(std::clamp<TimeMs>(now, -62135596800000, kFarthest)));
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const auto ms = unsigned((time - day).count());
  const auto new_year = sys_days(date.year() / January / 1);
  return {date,
          ms / 3600000,
          ms / 60000 % 60,
          ms / 1000 % 60,
          ms % 1000,
          weekday(day).c_encoding(),
          unsigned((day - new_year).count()) + 1};
}

constexpr const char* kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                   "July",    "August",   "September", "October", "November", "December"};
constexpr const char* kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                 "Thursday", "Friday", "Saturday"};

// One letter of a strftime format, as in the C locale; false when it is not known.
bool put_time(std::string& out, const Moment& m, char letter) {
  const unsigned month = unsigned(m.date.month()), day = unsigned(m.date.day());
  const unsigned twelve = m.hour % 12 == 0 ? 12 : m.hour % 12;
  const std::string year = std::to_string(int(m.date.year()));
  const std::string padded = std::string(4 - year.size(), '0') + year;
  switch (letter) {
    case 'Y': out += year; break;
    case 'y': out += padded.substr(2); break;
    case 'm': out += two(month); break;
    case 'd': out += two(day); break;
    case 'e': out += two(day, ' '); break;
    case 'B': out += kMonths[month - 1]; break;
    case 'b':
    case 'h': out += std::string_view(kMonths[month - 1]).substr(0, 3); break;
    case 'A': out += kDays[m.weekday]; break;
    case 'a': out += std::string_view(kDays[m.weekday]).substr(0, 3); break;
    case 'H': out += two(m.hour); break;
    case 'I': out += two(twelve); break;
    case 'M': out += two(m.minute); break;
    case 'S': out += two(m.second); break;
    case 'f': out += std::to_string(1000000 + m.millisecond * 1000).substr(1); break;
    case 'p': out += m.hour < 12 ? "AM" : "PM"; break;
    case 'j': out += std::to_string(1000 + m.day_of_year).substr(1); break;
    case 'w': out += std::to_string(m.weekday); break;
    case 'u': out += std::to_string(m.weekday == 0 ? 7 : m.weekday); break;
    case 'Z':
    case 'z': break;  // naive, as datetime.now() is
    case 'F': out += padded + "-" + two(month) + "-" + two(day); break;
    case 'D':
    case 'x': out += two(month) + "/" + two(day) + "/" + padded.substr(2); break;
    case 'T':
    case 'X': out += two(m.hour) + ":" + two(m.minute) + ":" + two(m.second); break;
    case 'R': out += two(m.hour) + ":" + two(m.minute); break;
    case 'n': out += '\n'; break;
    case 't': out += '\t'; break;
    case '%': out += '%'; break;
    default: return false;
  }
  return true;
}

Result<Value> strftime_now(Run& run, const Value&, Bound& args) {
  const std::string_view format = TRY(want_text(run, args[0], "the format"));
  const Moment now = moment(run.now);
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out.push_back(format[i]);
      continue;
    }
    const bool plain = format[i + 1] == '-' && i + 2 < format.size();  // %-d: without padding
    i += plain ? 2 : 1;
    std::string part;
    if (!put_time(part, now, format[i]))
      return run.fail(std::string("strftime: unknown '%") + format[i] + "'");
    const size_t zeros = plain ? std::min(part.find_first_not_of("0 "), part.size() - 1) : 0;
    out += part.substr(part.empty() ? 0 : zeros);
  }
  return run.text(std::move(out));
}

Result<Value> raise(Run& run, const Value&, Bound& args) {
  std::string message;
  TRY(append_text(run, message, args[0]));
  return Status(Code::invalid, std::move(message));
}

Result<Value> make_namespace(Run& run, const Value&, Bound& args) {
  Dict* fields = TRY(dict_of(run, args));
  return run.thing(std::make_unique<Namespace>(*fields));
}

Result<Value> make_cycler(Run& run, const Value&, Bound& args) {
  if (args.rest.empty()) return run.fail("at least one item has to be provided");
  const int64_t bytes = int64_t(args.rest.size() * sizeof(Value));
  return run.thing(std::make_unique<Cycler>(std::move(args.rest)), bytes);
}

Result<Value> make_joiner(Run& run, const Value&, Bound& args) {
  return run.thing(std::make_unique<Joiner>(args.has(0) ? args[0] : TRY(run.text(", "))));
}

constexpr Builtin kFunctions[] = {
    {"range", "start stop? step?", range},
    {"dict", "* **",
     [](Run& run, const Value&, Bound& args) -> Result<Value> { return Value(TRY(dict_of(run, args))); }},
    {"namespace", "* **", make_namespace},
    {"cycler", "*", make_cycler},
    {"joiner", "sep?", make_joiner},
    {"raise_exception", "message", raise},
    {"strftime_now", "format", strftime_now},
};

}  // namespace

Table functions() {
  return kFunctions;
}

}  // namespace varve::jinja
