#include "memory/recall/query/extreme.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "memory/recall/query/question.h"
#include "memory/recall/query/terms.h"

namespace varve {
namespace {

constexpr size_t kMostText = 16 << 10, kNear = 64;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Words of the question that say by what to order.
struct Asks {
  std::string_view word;
  bool greatest;
  std::vector<Quantity> measures;
};
const std::vector<Asks>& asks() {
  static const std::vector<Asks> all = {
      {"priciest", true, {Quantity::money}},
      {"costliest", true, {Quantity::money}},
      {"cheapest", false, {Quantity::money}},
      {"longest", true, {Quantity::distance, Quantity::duration}},
      {"shortest", false, {Quantity::distance, Quantity::duration}},
      {"farthest", true, {Quantity::distance}},
      {"furthest", true, {Quantity::distance}},
      {"tallest", true, {Quantity::distance}},
      {"fastest", false, {Quantity::duration}},
      {"quickest", false, {Quantity::duration}},
      {"slowest", true, {Quantity::duration}},
      {"heaviest", true, {Quantity::mass}},
      {"lightest", false, {Quantity::mass}},
      {"highest", true, {}},
      {"lowest", false, {}},
      {"largest", true, {}},
      {"smallest", false, {}},
  };
  return all;
}
const std::vector<Quantity> kAnyMeasure = {Quantity::plain, Quantity::money, Quantity::mass,
                                           Quantity::distance};

using Group = std::vector<std::string>;
// Words that say the same; the first are of buying.
constexpr std::string_view kKin[] = {
    "bought buy buying purchase purchased paid pay paying spent spend spending cost",
    "run ran",
    "ride rode",
    "swim swam",
    "drive drove",
    "flight fly flew flown",
    "sleep slept",
    "throw threw thrown",
    "win won",
};
constexpr std::array<std::string_view, 46> kNotTheTerm = {
    "all",   "amount",    "ever",     "far",    "from",     "list",  "item",      "items",
    "money", "number",    "one",      "order",  "personal", "price", "rank",      "record",
    "show",  "single",    "sort",     "sorted", "stuff",    "thing", "things",    "time",
    "times", "top",       "two",      "three",  "four",     "five",  "ten",       "least",
    "most",  "expensive", "recorded", "tell",   "name",     "me",    "mentioned", "mention",
    "told",  "said",      "talked",   "date",   "total",    "did"};
// A sentence with one of these says what was not, or not yet.
constexpr std::array<std::string_view, 20> kUnreal = {
    "not",    "never", "would",  "could", "should", "if",       "didn", "don",  "doesn", "wouldn",
    "couldn", "want",  "wanted", "wish",  "plan",   "planning", "goal", "hope", "isn",   "wasn"};

template <size_t N>
bool among(const std::array<std::string_view, N>& all, std::string_view word) {
  return std::find(all.begin(), all.end(), word) != all.end();
}

bool has(const Group& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}
bool phrase(const Group& words, std::string_view first, std::string_view second) {
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == first && words[i + 1] == second) return true;
  }
  return false;
}

bool read_order(const Group& words, Extreme& extreme) {
  const bool buys = has(words, "money") || has(words, "spend") || has(words, "spent") || has(words, "pay") ||
                    has(words, "paid") || has(words, "cost") || has(words, "costs");
  const bool most = phrase(words, "most", "expensive") || (buys && phrase(words, "the", "most"));
  const bool least = phrase(words, "least", "expensive") || (buys && phrase(words, "the", "least"));
  if (most || least) {
    extreme.greatest = most;
    extreme.measures = {Quantity::money};
    return true;
  }
  for (const std::string& word : words) {  // the first one: "from highest to lowest"
    for (const Asks& one : asks()) {
      if (one.word != word) continue;
      extreme.greatest = one.greatest;
      extreme.measures = !one.measures.empty()         ? one.measures
                         : buys || has(words, "price") ? std::vector<Quantity>{Quantity::money}
                                                       : kAnyMeasure;
      return true;
    }
  }
  return false;
}

int32_t how_many(const Group& words) {
  static constexpr std::array<std::string_view, 11> names = {
      "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"};
  if (has(words, "list") || has(words, "sort") || has(words, "sorted") || has(words, "rank"))
    return INT32_MAX;
  for (const std::string& word : words) {
    const auto named = std::find(names.begin() + 2, names.end(), word);
    if (named != names.end()) return int32_t(named - names.begin());
    if (word.size() <= 2 && is_digit(word[0]) && word != "0") return std::max(1, std::atoi(word.c_str()));
  }
  return 1;
}

std::vector<std::string_view> sentences(std::string_view text) {
  std::vector<std::string_view> all;
  size_t begin = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool mark = text[at] == '.' || text[at] == '!' || text[at] == '?' || text[at] == ';';
    const bool ends =
        text[at] == '\n' || (mark && (at + 1 == text.size() || text[at + 1] == ' ' || text[at + 1] == '\n'));
    if (!ends && at + 1 < text.size()) continue;
    all.push_back(text.substr(begin, at + 1 - begin));
    begin = at + 1;
  }
  return all;
}

bool any_term(const Extreme& extreme, std::string_view text) {
  const Group stems = terms_of(text, {.stem = true, .stop = false});
  return std::any_of(extreme.terms.begin(), extreme.terms.end(), [&](const Group& group) {
    return std::any_of(group.begin(), group.end(), [&](const std::string& one) { return has(stems, one); });
  });
}

// A number without unit must be told of the term itself: "score: 182", "scored 182", "a score of 182".
bool tells(const Extreme& extreme, std::string_view sentence, const Number& number) {
  static constexpr std::array<std::string_view, 18> links = {
      "of",     "was",  "is",   "at",   "a",       "an",  "the", "to",  "about",
      "around", "over", "just", "only", "reached", "hit", "got", "new", "with"};
  const size_t from = number.begin - std::min(number.begin, kNear);
  Group before = terms_of(sentence.substr(from, number.begin - from), {.stem = false, .stop = false});
  for (size_t steps = 0; !before.empty() && steps < 4; ++steps) {
    if (any_term(extreme, before.back())) return true;
    if (!among(links, before.back())) break;
    before.pop_back();
  }
  const Group after = terms_of(sentence.substr(number.end, kNear), {.stem = false, .stop = false});
  return !after.empty() && any_term(extreme, after[0]);
}

bool speaks_of(const Extreme& extreme, std::string_view sentence, const Group& speaker) {
  const Group words = terms_of(sentence, {.stem = false, .stop = false});
  const Group stems = terms_of(sentence, {.stem = true, .stop = false});
  if (sentence.ends_with('?')) return false;
  if (std::any_of(words.begin(), words.end(), [](const std::string& word) { return among(kUnreal, word); }))
    return false;
  return std::all_of(extreme.terms.begin(), extreme.terms.end(), [&](const Group& group) {
    return std::any_of(group.begin(), group.end(),
                       [&](const std::string& one) { return has(stems, one) || has(speaker, one); });
  });
}

std::string_view kin_of(std::string_view word) {
  const Group stem = terms_of(word, {.stem = true, .stop = false});
  for (std::string_view words : kKin) {
    if (!stem.empty() && has(terms_of(words, {.stem = true, .stop = false}), stem[0])) return words;
  }
  return word;
}

void add_term(Extreme& extreme, std::string_view word) {
  const std::string_view all = kin_of(word);
  extreme.terms.push_back(terms_of(all, {.stem = true, .stop = false}));
  extreme.words.append(extreme.words.empty() ? "" : " ").append(word);
  extreme.search.append(extreme.search.empty() ? "" : " ").append(all);
}

}  // namespace

std::optional<Extreme> read_extreme(std::string_view question) {
  question = question.substr(0, 1024);
  const Group words = terms_of(question, {.stem = false, .stop = false});
  Extreme extreme;
  if (!read_order(words, extreme)) return std::nullopt;
  for (const Number& number : read_numbers(question)) {
    if (number.measure != Quantity::plain) return std::nullopt;  // "my fastest 10 km": of some alone
  }
  extreme.k = how_many(words);
  extreme.pounds_are_money = extreme.measures == std::vector<Quantity>{Quantity::money};
  std::string buying;
  for (const std::string& word : terms_of(question, {.stem = false})) {
    const bool order =
        std::any_of(asks().begin(), asks().end(), [&](const Asks& one) { return one.word == word; });
    const Tells tells = read_tells(word);
    if (order || tells.time || tells.number || among(kNotTheTerm, word) || is_unit(word)) continue;
    if (extreme.pounds_are_money && kin_of(word) == kKin[0]) {
      buying = word;
    } else {
      add_term(extreme, word);
    }
  }
  if (extreme.terms.empty() && !buying.empty()) add_term(extreme, buying);
  return extreme.terms.empty() ? std::nullopt : std::optional(extreme);
}

std::vector<Number> numbers_for(const Extreme& extreme, std::string_view text, std::string_view speaker) {
  const Group named = terms_of(speaker, {.stem = true, .stop = false});
  std::vector<Number> best;
  for (std::string_view sentence : sentences(text.substr(0, kMostText))) {
    if (!speaks_of(extreme, sentence, named)) continue;
    for (Number& number : read_numbers(sentence)) {
      const std::string_view words = number.words;
      if (extreme.pounds_are_money && (words.ends_with("pounds") || words.ends_with("pound"))) {
        number.value /= kPound;
        number.measure = Quantity::money;
        number.currency = "£";
      }
      const auto& wanted = extreme.measures;
      if (std::find(wanted.begin(), wanted.end(), number.measure) == wanted.end()) continue;
      if (number.measure == Quantity::plain && !tells(extreme, sentence, number)) continue;
      const auto same = std::find_if(best.begin(), best.end(), [&](const Number& one) {
        return one.measure == number.measure && one.currency == number.currency;
      });
      if (same == best.end()) {
        best.push_back(std::move(number));
      } else if (extreme.greatest ? number.value > same->value : number.value < same->value) {
        *same = std::move(number);
      }
    }
  }
  return best;
}

}  // namespace varve
