#include "run/model/tokenizer/split/char_set.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>

namespace varve {
namespace {

using Ranges = std::vector<CharSet::Range>;

// The ranges of every general category, counted out once.
const std::array<Ranges, 32>& category_ranges() {
  static const std::array<Ranges, 32> table = [] {
    std::array<Ranges, 32> ranges;
    for (char32_t code = 0; code <= unicode::kLast; ++code) {
      Ranges& own = ranges[unicode::category(code)];
      if (!own.empty() && own.back().second + 1 == code) {
        own.back().second = code;
      } else {
        own.emplace_back(code, code);
      }
    }
    return ranges;
  }();
  return table;
}

// The script Han.
const Ranges kHan = {{0x2E80, 0x2E99},   {0x2E9B, 0x2EF3},   {0x2F00, 0x2FD5},   {0x3005, 0x3005},
                     {0x3007, 0x3007},   {0x3021, 0x3029},   {0x3038, 0x303B},   {0x3400, 0x4DBF},
                     {0x4E00, 0x9FFF},   {0xF900, 0xFA6D},   {0xFA70, 0xFAD9},   {0x16FE2, 0x16FE3},
                     {0x16FF0, 0x16FF1}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B739}, {0x2B740, 0x2B81D},
                     {0x2B820, 0x2CEA1}, {0x2CEB0, 0x2EBE0}, {0x2F800, 0x2FA1D}, {0x30000, 0x323AF}};

uint32_t categories_named(std::string_view name) {
  using namespace unicode;
  static const std::map<std::string_view, uint32_t> names = {
      {"L", kLetter},    {"M", kMark},    {"N", kNumber},  {"P", kPunctuation}, {"S", kSymbol},
      {"Z", kSeparator}, {"C", kOther},   {"Lu", bit(Lu)}, {"Ll", bit(Ll)},     {"Lt", bit(Lt)},
      {"Lm", bit(Lm)},   {"Lo", bit(Lo)}, {"Mn", bit(Mn)}, {"Mc", bit(Mc)},     {"Me", bit(Me)},
      {"Nd", bit(Nd)},   {"Nl", bit(Nl)}, {"No", bit(No)}, {"Pc", bit(Pc)},     {"Pd", bit(Pd)},
      {"Ps", bit(Ps)},   {"Pe", bit(Pe)}, {"Pi", bit(Pi)}, {"Pf", bit(Pf)},     {"Po", bit(Po)},
      {"Sm", bit(Sm)},   {"Sc", bit(Sc)}, {"Sk", bit(Sk)}, {"So", bit(So)},     {"Zs", bit(Zs)},
      {"Zl", bit(Zl)},   {"Zp", bit(Zp)}, {"Cc", bit(Cc)}, {"Cf", bit(Cf)},     {"Co", bit(Co)},
      {"Cn", bit(Cn)}};
  const auto found = names.find(name);
  return found == names.end() ? 0 : found->second;
}

}  // namespace

CharSet::CharSet(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end());
  for (const auto& [first, last] : ranges) {
    if (!ranges_.empty() && first <= ranges_.back().second + 1) {
      ranges_.back().second = std::max(ranges_.back().second, last);
    } else {
      ranges_.emplace_back(first, last);
    }
  }
}

CharSet CharSet::of_categories(uint32_t categories) {
  Ranges all;
  for (int i = 0; i < 32; ++i) {
    if (categories >> i & 1) all.insert(all.end(), category_ranges()[i].begin(), category_ranges()[i].end());
  }
  return CharSet(std::move(all));
}

CharSet CharSet::spaces() {
  return CharSet({{'\t', '\r'}, {0x85, 0x85}}).with(of_categories(unicode::kSeparator));
}

Result<CharSet> CharSet::named(std::string_view name) {
  if (name == "Han") return CharSet(kHan);
  const uint32_t categories = categories_named(name);
  if (categories == 0)
    return Status(Code::unsupported, "pattern: unknown property \\p{" + std::string(name) + "}");
  return of_categories(categories);
}

CharSet CharSet::complement() const {
  CharSet result;
  char32_t next = 0;
  for (const auto& [first, last] : ranges_) {
    if (first > next) result.ranges_.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= unicode::kLast) result.ranges_.emplace_back(next, unicode::kLast);
  return result;
}

CharSet CharSet::with(const CharSet& other) const {
  Ranges all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return CharSet(std::move(all));
}

CharSet CharSet::without(const CharSet& other) const {
  return complement().with(other).complement();
}

CharSet CharSet::with_other_case() const {
  Ranges both = ranges_;
  for (char32_t c = 'a'; c <= 'z'; ++c) {
    const char32_t upper = c - 'a' + 'A';
    if (contains(c)) both.emplace_back(upper, upper);
    if (contains(upper)) both.emplace_back(c, c);
  }
  return CharSet(std::move(both));
}

bool CharSet::contains(char32_t code) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), code,
                                      [](char32_t c, const Range& range) { return c < range.first; });
  return after != ranges_.begin() && std::prev(after)->second >= code;
}

Result<CharClasses> CharClasses::of(const std::vector<CharSet>& sets) {
  std::vector<char32_t> borders{0, unicode::kLast + 1};  // a class can only change here
  for (const CharSet& set : sets) {
    for (const auto& [first, last] : set.ranges()) borders.insert(borders.end(), {first, last + 1});
  }
  std::sort(borders.begin(), borders.end());
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());

  CharClasses classes;
  std::map<std::vector<bool>, uint8_t> numbers;  // by which sets contain it
  std::vector<uint8_t> between;                  // the class from each border to the next
  for (size_t i = 0; i + 1 < borders.size(); ++i) {
    std::vector<bool> member;
    for (const CharSet& set : sets) member.push_back(set.contains(borders[i]));
    const auto [at, fresh] = numbers.emplace(std::move(member), static_cast<uint8_t>(numbers.size()));
    if (fresh) classes.examples_.push_back(borders[i]);
    if (numbers.size() > 250) return Status(Code::unsupported, "pattern: too many character classes");
    between.push_back(at->second);
  }
  std::map<std::array<uint8_t, 256>, uint16_t> seen;
  std::array<uint8_t, 256> page;
  size_t at = 0;  // of the border at or before the character
  for (char32_t first = 0; first <= unicode::kLast; first += 256) {
    for (char32_t next = first; next < first + 256;) {
      while (borders[at + 1] <= next) ++at;
      const char32_t end = std::min<char32_t>(borders[at + 1], first + 256);
      std::fill(page.begin() + (next - first), page.begin() + (end - first), between[at]);
      next = end;
    }
    const auto [known, fresh] = seen.emplace(page, static_cast<uint16_t>(seen.size()));
    if (fresh) classes.pages_.insert(classes.pages_.end(), page.begin(), page.end());
    classes.page_.push_back(known->second);
  }
  return classes;
}

}  // namespace varve
