// Numbers between two bounds, digit by digit: a decimal is compared as text.
#include <charconv>
#include <cmath>

#include "run/decode/shape/json_parts.h"

namespace varve::shape {
namespace {

constexpr uint64_t kLargest = 999999999999999;  // where a bound is absent or beyond: 15 digits are exact
constexpr int kFraction = 15;                   // digits after the point

struct Decimal {  // not negative
  uint64_t whole = 0;
  std::string fraction;  // without zeros at its end
};

Decimal decimal(double value) {
  char text[400];
  const auto end = std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed).ptr;
  const std::string digits(text, end);
  const size_t point = digits.find('.');
  Decimal d;
  std::from_chars(digits.data(), digits.data() + digits.size(), d.whole);
  if (point != digits.npos) d.fraction = digits.substr(point + 1, kFraction);
  while (!d.fraction.empty() && d.fraction.back() == '0') d.fraction.pop_back();
  return d;
}

bool less(const Decimal& a, const Decimal& b) {
  return a.whole != b.whole ? a.whole < b.whole : a.fraction < b.fraction;
}

// The nearest that counts once a bound itself is excluded, with digits that a double still tells apart.
constexpr size_t kNear = 7;
constexpr uint64_t kFine = 10000000;  // from here on only whole steps

void step_up(Decimal& d) {
  if (d.whole >= kFine || d.fraction.size() >= kNear) {
    ++d.whole;
    d.fraction.clear();
  } else {
    d.fraction.resize(kNear - 1, '0');
    d.fraction.push_back('1');
  }
}
bool step_down(Decimal& d) {
  if (d.fraction.size() >= kNear || (d.whole >= kFine && !d.fraction.empty())) {
    d.fraction.clear();
  } else if (!d.fraction.empty()) {
    --d.fraction.back();  // it is no zero
    d.fraction.resize(kNear, '9');
  } else {
    if (d.whole == 0) return false;
    --d.whole;
    if (d.whole < kFine) d.fraction.assign(kNear, '9');
  }
  return true;
}

class Digits {
 public:
  explicit Digits(Rules& rules) : rules_(rules), digit_(rules.chars({{'0', '9'}})) {}

  Part whole(uint64_t least, uint64_t most) {
    std::vector<Part> lengths;
    uint64_t first = 0, last = 9;
    for (int digits = 1; digits < 20; ++digits) {
      const uint64_t from = std::max(first, least), to = std::min(last, most);
      if (from <= to) lengths.push_back(same_length(std::to_string(from), std::to_string(to)));
      if (digits == 19) break;
      first = last + 1;
      last = digits == 18 ? UINT64_MAX / 10 * 10 - 1 : last * 10 + 9;
    }
    return rules_.choice(std::move(lengths));
  }

  // n or n.digits from `low` to `high`.
  Part between(const Decimal& low, const Decimal& high) {
    if (low.whole == high.whole) {
      const Part tail = low.fraction.empty()
                            ? at_most_tail(high.fraction)
                            : rules_.sequence({rules_.text("."), same_start(low.fraction, high.fraction)});
      return rules_.sequence({rules_.text(std::to_string(low.whole)), tail});
    }
    std::vector<Part> parts;
    const Part free =
        rules_.optional(rules_.sequence({rules_.text("."), rules_.repeat(digit_, 1, kFraction)}));
    const Part low_tail =
        low.fraction.empty() ? free : rules_.sequence({rules_.text("."), at_least(low.fraction, true)});
    parts.push_back(rules_.sequence({rules_.text(std::to_string(low.whole)), low_tail}));
    if (low.whole + 1 < high.whole)
      parts.push_back(rules_.sequence({whole(low.whole + 1, high.whole - 1), free}));
    parts.push_back(rules_.sequence({rules_.text(std::to_string(high.whole)), at_most_tail(high.fraction)}));
    return rules_.choice(std::move(parts));
  }

 private:
  Part one(char first, char last) { return rules_.chars({{uint32_t(first), uint32_t(last)}}); }
  Part rest(size_t digits, bool open) {  // open: of a fraction, which may go on
    return open ? rules_.repeat(digit_, 0, kFraction)
                : rules_.repeat(digit_, int32_t(digits), int32_t(digits));
  }

  Part same_length(const std::string& low, const std::string& high) {
    if (low.empty()) return rules_.nothing();
    if (low[0] == high[0])
      return rules_.sequence({one(low[0], low[0]), same_length(low.substr(1), high.substr(1))});
    std::vector<Part> parts{rules_.sequence({one(low[0], low[0]), at_least(low.substr(1), false)}),
                            rules_.sequence({one(high[0], high[0]), at_most(high.substr(1), false)})};
    if (low[0] + 1 < high[0]) {
      parts.push_back(
          rules_.sequence({one(char(low[0] + 1), char(high[0] - 1)), rest(low.size() - 1, false)}));
    }
    return rules_.choice(std::move(parts));
  }

  Part at_least(const std::string& low, bool open) {
    if (low.empty()) return open ? rest(0, true) : rules_.nothing();
    std::vector<Part> parts{rules_.sequence({one(low[0], low[0]), at_least(low.substr(1), open)})};
    if (low[0] < '9')
      parts.push_back(rules_.sequence({one(char(low[0] + 1), '9'), rest(low.size() - 1, open)}));
    return rules_.choice(std::move(parts));
  }

  // Of a fraction, each beginning of the bound is below it, so it may stop anywhere.
  Part at_most(const std::string& high, bool open) {
    if (high.empty()) return rules_.nothing();
    const Part more = at_most(high.substr(1), open);
    std::vector<Part> parts{rules_.sequence({one(high[0], high[0]), open ? rules_.optional(more) : more})};
    if (high[0] > '0')
      parts.push_back(rules_.sequence({one('0', char(high[0] - 1)), rest(high.size() - 1, open)}));
    return rules_.choice(std::move(parts));
  }
  Part at_most_tail(const std::string& fraction) {
    if (fraction.empty()) return rules_.nothing();
    return rules_.optional(rules_.sequence({rules_.text("."), at_most(fraction, true)}));
  }

  // Fractions from `low` to `high`; low is not above high and not empty.
  Part same_start(const std::string& low, const std::string& high) {
    if (low.empty()) return rules_.optional(at_most(high, true));
    if (low[0] == high[0])
      return rules_.sequence({one(low[0], low[0]), same_start(low.substr(1), high.substr(1))});
    std::vector<Part> parts{
        rules_.sequence({one(low[0], low[0]), at_least(low.substr(1), true)}),
        rules_.sequence({one(high[0], high[0]), rules_.optional(at_most(high.substr(1), true))})};
    if (low[0] + 1 < high[0])
      parts.push_back(rules_.sequence({one(char(low[0] + 1), char(high[0] - 1)), rest(0, true)}));
    return rules_.choice(std::move(parts));
  }

  Rules& rules_;
  Part digit_;
};

// The part of a range on one side of zero, in magnitudes; nothing when it is empty.
struct Side {
  Decimal low, high;
};
std::optional<Side> side(std::optional<double> least, bool above, std::optional<double> most, bool below) {
  if (most && (*most < 0 || (*most == 0 && below))) return std::nullopt;
  Side s{{}, {kLargest, {}}};
  if (least && *least >= 0) {
    if (*least > double(kLargest)) return std::nullopt;
    s.low = decimal(*least);
    if (above) step_up(s.low);
  }
  if (most && *most <= double(kLargest)) {
    s.high = decimal(*most);
    if (below && !step_down(s.high)) return std::nullopt;
  }
  if (less(s.high, s.low)) return std::nullopt;
  return s;
}

template <class Make>
std::optional<Part> both_sides(Rules& rules, const Bounds& b, Make make) {
  std::vector<Part> parts;
  const auto minus = [](std::optional<double> v) { return v ? std::optional<double>(-*v) : v; };
  const auto add = [&](const std::optional<Side>& s, const char* sign) {
    if (!s) return;
    if (const std::optional<Part> part = make(*s)) parts.push_back(rules.sequence({rules.text(sign), *part}));
  };
  add(side(b.least, b.above_least, b.most, b.below_most), "");
  if (!b.least || *b.least < 0) add(side(minus(b.most), b.below_most, minus(b.least), b.above_least), "-");
  if (parts.empty()) return std::nullopt;
  return rules.choice(std::move(parts));
}

}  // namespace

std::optional<Part> JsonParts::whole_between(const Bounds& bounds) {
  return both_sides(rules_, bounds, [&](const Side& s) -> std::optional<Part> {
    const uint64_t least = s.low.whole + !s.low.fraction.empty();  // the next whole number
    if (least > s.high.whole) return std::nullopt;
    return Digits(rules_).whole(least, s.high.whole);
  });
}

std::optional<Part> JsonParts::between(const Bounds& bounds) {
  return both_sides(rules_, bounds, [&](const Side& s) -> std::optional<Part> {
    return Digits(rules_).between(s.low, s.high);
  });
}

}  // namespace varve::shape
