#include "memory/recall/query/numbers.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

namespace varve {
namespace {

constexpr size_t kMostText = 64 << 10, kMostNumbers = 1000, kLongest = 64;

struct Unit {
  std::string_view name;
  Quantity measure;
  double scale;
  std::string_view currency = {};
};
constexpr Unit kUnits[] = {
    {"dollar", Quantity::money, 1, "$"},
    {"dollars", Quantity::money, 1, "$"},
    {"buck", Quantity::money, 1, "$"},
    {"bucks", Quantity::money, 1, "$"},
    {"usd", Quantity::money, 1, "$"},
    {"cents", Quantity::money, 0.01, "$"},
    {"euro", Quantity::money, 1, "€"},
    {"euros", Quantity::money, 1, "€"},
    {"eur", Quantity::money, 1, "€"},
    {"gbp", Quantity::money, 1, "£"},
    {"yen", Quantity::money, 1, "¥"},
    {"rupees", Quantity::money, 1, "₹"},
    {"km", Quantity::distance, 1000},
    {"kms", Quantity::distance, 1000},
    {"kilometer", Quantity::distance, 1000},
    {"kilometers", Quantity::distance, 1000},
    {"kilometre", Quantity::distance, 1000},
    {"kilometres", Quantity::distance, 1000},
    {"mile", Quantity::distance, 1609.344},
    {"miles", Quantity::distance, 1609.344},
    {"mi", Quantity::distance, 1609.344},
    {"m", Quantity::distance, 1},
    {"meter", Quantity::distance, 1},
    {"meters", Quantity::distance, 1},
    {"metre", Quantity::distance, 1},
    {"metres", Quantity::distance, 1},
    {"yards", Quantity::distance, 0.9144},
    {"foot", Quantity::distance, 0.3048},
    {"feet", Quantity::distance, 0.3048},
    {"ft", Quantity::distance, 0.3048},
    {"cm", Quantity::distance, 0.01},
    {"inch", Quantity::distance, 0.0254},
    {"inches", Quantity::distance, 0.0254},
    {"second", Quantity::duration, 1},
    {"seconds", Quantity::duration, 1},
    {"sec", Quantity::duration, 1},
    {"secs", Quantity::duration, 1},
    {"minute", Quantity::duration, 60},
    {"minutes", Quantity::duration, 60},
    {"min", Quantity::duration, 60},
    {"mins", Quantity::duration, 60},
    {"hour", Quantity::duration, 3600},
    {"hours", Quantity::duration, 3600},
    {"hr", Quantity::duration, 3600},
    {"hrs", Quantity::duration, 3600},
    {"h", Quantity::duration, 3600},
    {"day", Quantity::duration, 86400},
    {"days", Quantity::duration, 86400},
    {"week", Quantity::duration, 604800},
    {"weeks", Quantity::duration, 604800},
    {"month", Quantity::duration, 2629746},
    {"months", Quantity::duration, 2629746},
    {"year", Quantity::duration, 31556952},
    {"years", Quantity::duration, 31556952},
    {"kg", Quantity::mass, 1000},
    {"kilo", Quantity::mass, 1000},
    {"kilos", Quantity::mass, 1000},
    {"kilogram", Quantity::mass, 1000},
    {"kilograms", Quantity::mass, 1000},
    {"gram", Quantity::mass, 1},
    {"grams", Quantity::mass, 1},
    {"g", Quantity::mass, 1},
    {"lb", Quantity::mass, kPound},
    {"lbs", Quantity::mass, kPound},
    {"pound", Quantity::mass, kPound},
    {"pounds", Quantity::mass, kPound},
    {"ounce", Quantity::mass, 28.349523},
    {"ounces", Quantity::mass, 28.349523},
    {"oz", Quantity::mass, 28.349523},
};
constexpr std::string_view kCurrencies[] = {"$", "€", "£", "¥", "₹"};

bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
const Unit* unit_named(std::string_view name) {
  const auto found =
      std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& unit) { return unit.name == name; });
  return found == std::end(kUnits) ? nullptr : found;
}

// The word of ASCII letters at `at`, lower case.
std::string word_at(std::string_view text, size_t at) {
  std::string word;
  for (; at < text.size() && letter(text[at]); ++at) word += char(text[at] | 0x20);
  return word;
}

double thousands(std::string_view word) {
  if (word == "k" || word == "thousand") return 1e3;
  if (word == "million") return 1e6;
  return word == "billion" ? 1e9 : 0;
}

// "1,299.99" from `at`; the place after it.
size_t digits_end(std::string_view text, size_t at, std::string& plain) {
  while (at < text.size()) {
    const bool three = text[at] == ',' && at + 3 < text.size() && digit(text[at + 1]) &&
                       digit(text[at + 2]) && digit(text[at + 3]) &&
                       (at + 4 == text.size() || !digit(text[at + 4]));
    const bool point = text[at] == '.' && at + 1 < text.size() && digit(text[at + 1]) &&
                       plain.find('.') == std::string::npos;
    if (digit(text[at]) || point) {
      plain += text[at];
    } else if (!three) {
      break;
    }
    ++at;
  }
  return at;
}

// What stands before and after a number without unit or currency that is a part of something else.
bool part_of_another(std::string_view text, const Number& number) {
  const char before = number.begin == 0 ? ' ' : text[number.begin - 1];
  const char after = number.end == text.size() ? ' ' : text[number.end];
  const bool year = number.words.size() == 4 && number.value >= 1900 && number.value < 2100;
  const auto joins = [](char c) { return std::string_view("-/:#_.@").find(c) != std::string_view::npos; };
  const bool joined_after = joins(after) && number.end + 1 < text.size() &&
                            (digit(text[number.end + 1]) || letter(text[number.end + 1]));
  return year || letter(after) || letter(before) || joins(before) || joined_after ||
         (number.words.size() > 1 && number.words[0] == '0' && number.words[1] != '.');
}

// The number whose digits begin at `at`, with its currency and unit; `end` is set where it ends.
Number number_at(std::string_view text, size_t at) {
  Number number{.value = 0,
                .scale = 1,
                .measure = Quantity::plain,
                .currency = {},
                .words = {},
                .begin = at,
                .end = at};
  for (std::string_view sign : kCurrencies) {
    if (!text.substr(0, at).ends_with(sign)) continue;
    number.currency = sign;
    number.measure = Quantity::money;
    number.begin = at - sign.size();
  }
  std::string plain;
  number.end = digits_end(text, at, plain);
  number.value = std::strtod(plain.c_str(), nullptr);
  for (int i = 0; i < 2; ++i) {  // "2 million dollars"
    size_t next = number.end;
    if (next < text.size() && (text[next] == ' ' || text[next] == '-')) ++next;
    const std::string word = word_at(text, next);
    const double times = i == 0 ? thousands(word) : 0;
    const Unit* unit = number.measure == Quantity::money ? nullptr : unit_named(word);
    if (times == 0 && unit == nullptr) break;
    if (times != 0 && word == "k" && next != number.end) break;
    number.value *= times != 0 ? times : unit->scale;
    if (unit != nullptr) {
      number.measure = unit->measure;
      number.scale = unit->scale;
      number.currency = unit->currency;
    }
    number.end = next + word.size();
    if (unit != nullptr) break;
  }
  for (std::string_view sign : kCurrencies) {  // "300 €"
    std::string_view rest = text.substr(number.end);
    const size_t gap = rest.starts_with(' ') ? 1 : 0;
    if (number.measure != Quantity::plain || !rest.substr(gap).starts_with(sign)) continue;
    if (gap + sign.size() < rest.size() && digit(rest[gap + sign.size()])) continue;  // the next one's
    number.currency = sign;
    number.measure = Quantity::money;
    number.end += gap + sign.size();
  }
  number.words = text.substr(number.begin, number.end - number.begin);
  return number;
}

// "1 hour 20 minutes", "2 hours and 5 minutes": one number.
bool goes_on(std::string_view text, const Number& before, const Number& next) {
  const std::string_view between = text.substr(before.end, next.begin - before.end);
  return before.measure == next.measure && before.measure != Quantity::plain &&
         before.measure != Quantity::money && next.value < before.scale &&
         (between == " " || between == " and " || between == ", ");
}

}  // namespace

std::vector<Number> read_numbers(std::string_view text) {
  text = text.substr(0, kMostText);
  std::vector<Number> all;
  for (size_t at = 0; at < text.size() && all.size() < kMostNumbers; ++at) {
    if (!digit(text[at])) continue;
    Number number = number_at(text, at);
    at = std::max(number.end, at + 1) - 1;
    if (number.measure == Quantity::plain && part_of_another(text, number)) {
      while (at + 1 < text.size() && (digit(text[at + 1]) || letter(text[at + 1]))) ++at;
    } else if (!all.empty() && goes_on(text, all.back(), number)) {
      all.back().value += number.value;
      all.back().scale = number.scale;
      all.back().end = number.end;
      all.back().words = text.substr(all.back().begin, number.end - all.back().begin);
    } else if (number.words.size() <= kLongest) {
      all.push_back(std::move(number));
    }
  }
  return all;
}

bool is_unit(std::string_view word) {
  return unit_named(word) != nullptr;
}

}  // namespace varve
