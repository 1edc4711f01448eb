#include "learn/world/language/lexicon.h"

#include <algorithm>
#include <array>

#include "core/base/check.h"
#include "learn/world/language/text.h"

namespace varve::world {
namespace {

constexpr std::string_view kLists =
#include "learn/world/table/lexicon.inc"
    ;

constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};

constexpr double kCoined = 0.65;  // of the values drawn from an open list in training

std::string digits(Draw& draw, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += char('0' + draw.below(10));
  return text;
}
std::string two(int number) {
  return (number < 10 ? "0" : "") + std::to_string(number);
}

std::string syllables(Draw& draw, int count) {
  static constexpr std::array<std::string_view, 30> kOnsets = {
      "b", "d", "f",  "g",  "h",  "j",  "k",  "l",  "m",  "n",  "p",  "r",  "s",  "t",  "v",
      "w", "z", "br", "dr", "gr", "kr", "tr", "st", "sh", "th", "fl", "pl", "kl", "sv", "ch"};
  static constexpr std::array<std::string_view, 9> kVowels = {"a", "e", "i", "o", "u", "a", "e", "o", "ei"};
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += kOnsets[size_t(draw.below(int(kOnsets.size())))];
    text += kVowels[size_t(draw.below(int(kVowels.size())))];
  }
  static constexpr std::array<std::string_view, 12> kEnds = {"n", "l", "r", "s", "m", "k",
                                                             "",  "",  "",  "",  "t", "nd"};
  return capitalised(text + std::string(kEnds[size_t(draw.below(int(kEnds.size())))]));
}

using Maker = std::string (*)(const Lexicon&, Draw&);

std::string made_word(const Lexicon&, Draw& draw) {
  return syllables(draw, draw.range(1, 3));
}
std::string made_company(const Lexicon&, Draw& draw) {
  static constexpr std::array<std::string_view, 12> kTails = {"tech",    " Foods", " Works", " Bank",
                                                              " Motors", "soft",   "lab",    " Books",
                                                              " Travel", " Oil",   " Media", " Air"};
  return syllables(draw, draw.range(1, 2)) + std::string(kTails[size_t(draw.below(int(kTails.size())))]);
}
std::string made_phone(const Lexicon&, Draw& draw) {
  switch (draw.below(3)) {
    case 0: return digits(draw, 3) + "-" + digits(draw, 4);
    case 1: return "0" + digits(draw, 3) + " " + digits(draw, 3) + " " + digits(draw, 3);
    default: return "0" + digits(draw, 9);
  }
}
std::string made_code(const Lexicon&, Draw& draw) {
  return digits(draw, draw.range(3, 6));
}
std::string made_price(const Lexicon&, Draw& draw) {
  const int amount = draw.chance(0.5) ? draw.range(2, 99) : draw.range(100, 1999);
  return std::to_string(amount) + (draw.chance(0.5) ? " euros" : " dollars");
}
std::string made_clock(const Lexicon&, Draw& draw) {
  return std::to_string(draw.range(5, 22)) + ":" + two(5 * draw.below(12));
}
std::string made_monthday(const Lexicon&, Draw& draw) {
  return std::to_string(draw.range(1, 28)) + " " + std::string(kMonths[size_t(draw.below(12))]);
}
std::string made_age(const Lexicon&, Draw& draw) {
  return std::to_string(draw.range(2, 89));
}
std::string made_shoe(const Lexicon&, Draw& draw) {
  return std::to_string(draw.range(34, 47));
}
std::string made_weight(const Lexicon&, Draw& draw) {
  return std::to_string(draw.range(2, 60)) + (draw.chance(0.7) ? " kilos" : " pounds");
}
std::string made_plate(const Lexicon&, Draw& draw) {
  std::string text;
  for (int i = 0; i < 3; ++i) text += char('A' + draw.below(26));
  return text + " " + digits(draw, 3);
}
std::string made_address(const Lexicon& words, Draw& draw) {
  static constexpr std::array<std::string_view, 8> kWays = {"Street", "Road", "Lane", "Square",
                                                            "Avenue", "Hill", "Way",  "Alley"};
  static constexpr std::array<std::string_view, 16> kNames = {
      "Mill",   "Church", "Station", "Park", "Garden", "River", "School", "Oak",
      "Market", "Bridge", "King",    "Lake", "Forest", "North", "Rose",   "Stone"};
  std::string name(kNames[size_t(draw.below(int(kNames.size())))]);
  if (draw.chance(0.4)) name = made_word(words, draw);
  return std::to_string(draw.range(1, 199)) + " " + name + " " + std::string(kWays[size_t(draw.below(8))]);
}
std::string made_mail(const Lexicon& words, Draw& draw) {
  static constexpr std::array<std::string_view, 5> kHosts = {"example.com", "example.org", "mail.example",
                                                             "post.example", "home.example"};
  const std::string name = lower(made_word(words, draw));
  return name + (draw.chance(0.5) ? digits(draw, 2) : "") + "@" + std::string(kHosts[size_t(draw.below(5))]);
}
std::string made_password(const Lexicon& words, Draw& draw) {
  const std::string colour = draw.pick(words.list("colour").train);
  return colour.substr(colour.find(' ') + 1) + "-" + lower(made_word(words, draw)) + "-" + digits(draw, 2);
}
std::string made_title(const Lexicon& words, Draw& draw) {
  const auto any = [&](std::string_view type) {
    const Words& list = words.list(type);
    const int at = draw.below(int(list.train.size() + list.eval.size()));
    return capitalised(size_t(at) < list.train.size() ? list.train[size_t(at)]
                                                      : list.eval[size_t(at) - list.train.size()]);
  };
  if (draw.chance(0.25)) return "The " + any("thing") + " and the " + any("thing");
  return "The " + any("adjective") + " " + any("thing");
}

// The head of one word and the tail of another: what looks like English and is none.
std::string spliced(const std::vector<std::string>& words, Draw& draw) {
  const std::string head = draw.pick(words), tail = draw.pick(words);
  return head.substr(0, size_t(draw.range(2, int(head.size()) - 1))) +
         tail.substr(size_t(draw.range(1, int(tail.size()) - 2)));
}

// A listed value with one of its words made up: "the klovi drawer". A model that sees only what a list holds
// learns the list; one that also sees what no list holds has to copy.
std::string coined(const std::string& like, const std::vector<std::string>& words, Draw& draw) {
  std::vector<std::pair<size_t, size_t>> spans;  // of words that are more than "the" or "of"
  for (size_t at = 0; at < like.size();) {
    const size_t end = std::min(like.find(' ', at), like.size());
    if (end - at > 3) spans.emplace_back(at, end - at);
    at = end + 1;
  }
  if (spans.empty()) return like;
  const auto [at, size] = spans[size_t(draw.below(int(spans.size())))];
  std::string word = draw.chance(0.5) ? capitalised(spliced(words, draw)) : syllables(draw, draw.range(1, 3));
  if (like[at] < 'A' || like[at] > 'Z') word = lower(word);
  if (like[at + size - 1] == 's' && word.back() != 's') word += 's';
  return like.substr(0, at) + word + like.substr(at + size);
}

struct Made {
  std::string_view type;
  Maker make;
};
constexpr Made kMade[] = {
    {"word", made_word},         {"company", made_company},   {"phone", made_phone},
    {"code", made_code},         {"price", made_price},       {"clock", made_clock},
    {"monthday", made_monthday}, {"age", made_age},           {"shoe", made_shoe},
    {"weight", made_weight},     {"plate", made_plate},       {"address", made_address},
    {"mail", made_mail},         {"password", made_password}, {"title", made_title},
};
// Too few to divide: both splits use all of them.
bool is_closed(std::string_view type) {
  return type == "age" || type == "shoe" || type == "clock";
}
Maker maker_of(std::string_view type) {
  for (const Made& one : kMade) {
    if (one.type == type) return one.make;
  }
  return nullptr;
}

std::vector<std::string> listed(std::string_view text) {
  std::vector<std::string> all;
  for (std::string_view one : split(text, ',')) {
    if (!trimmed(one).empty()) all.emplace_back(trimmed(one));
  }
  return all;
}

}  // namespace

Split split_of(std::string_view value) {
  uint64_t hash = 1469598103934665603u;
  for (char c : value) hash = (hash ^ uint8_t(c)) * 1099511628211u;
  return (hash >> 33) % 8 == 0 ? Split::eval : Split::train;
}

Lexicon::Lexicon() {
  for (std::string_view line : split(kLists, '\n')) {
    const size_t colon = line.find(':');
    if (line.empty() || line[0] == '#' || colon == line.npos) continue;
    const std::string_view values = line.substr(colon + 1);
    const size_t bar = std::min(values.find('|'), values.size());
    Words& words = lists_[std::string(line.substr(0, colon))];
    words.train = listed(values.substr(0, bar));
    if (bar < values.size()) words.eval = listed(values.substr(bar + 1));
  }
  const auto join = [&](const char* into, std::initializer_list<const char*> from) {
    for (const char* one : from) {
      const Words& part = lists_.at(one);
      lists_[into].train.insert(lists_[into].train.end(), part.train.begin(), part.train.end());
    }
  };
  join("kin", {"kin_girl", "kin_boy", "kin_any"});
  for (const auto& [type, words] : lists_) {
    for (const std::string& one : words.train) {
      if (one.size() >= 5 && one.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == one.npos)
        plain_.push_back(one);
    }
  }
}

const Lexicon& Lexicon::get() {
  static const Lexicon lexicon;
  return lexicon;
}

const Words& Lexicon::list(std::string_view type) const {
  const auto found = lists_.find(type);
  CHECK(found != lists_.end(), "a type of words is not in the table");
  return found->second;
}

bool Lexicon::knows(std::string_view type) const {
  return type == "name" || lists_.find(type) != lists_.end() || maker_of(type) != nullptr;
}

std::string Lexicon::draw(std::string_view type, Split split, Draw& draw) const {
  if (type == "name") return name(split, draw).first;
  if (type == "surname" && draw.chance(0.4)) type = "word";
  const Maker make = maker_of(type);
  if (make == nullptr) {
    const Words& words = list(type);
    const std::string listed = draw.pick(words.of(split));
    if (split == Split::eval || words.eval.empty() || !draw.chance(kCoined)) return listed;
    for (;;) {
      std::string value = coined(listed, plain_, draw);
      if (value == listed || split_of(value) == split) return value;
    }
  }
  for (;;) {
    std::string value = make(*this, draw);
    if (is_closed(type) || split_of(value) == split) return value;
  }
}

std::pair<std::string, char> Lexicon::name(Split split, Draw& draw, char gender) const {
  if (gender == 0) gender = draw.chance(0.5) ? 'f' : 'm';
  if (draw.chance(0.6)) return {draw.pick(list(gender == 'f' ? "girl" : "boy").of(split)), gender};
  for (;;) {
    std::string made = syllables(draw, draw.range(1, 3));
    if (made.size() > 2 && split_of(made) == split) return {made, gender};
  }
}

TimeMs Lexicon::day(Split split, Draw& draw, TimeMs low, TimeMs high) const {
  const int days = int((high - low) / kDayMs);
  for (;;) {
    const TimeMs day = low + draw.range(0, days) * kDayMs;
    if (split_of(date_words(day)) == split) return day;
  }
}

}  // namespace varve::world
