#include "memory/recall/query/question.h"

#include <algorithm>
#include <array>

#include "memory/recall/query/terms.h"

namespace varve {
namespace {

// Sorted, so that they can be searched by halving.
constexpr std::array<std::string_view, 46> kTime = {
    "ago",      "april",    "august",    "day",     "days",    "december",  "evening",  "fall",
    "february", "friday",   "january",   "july",    "june",    "last",      "march",    "may",
    "monday",   "month",    "months",    "morning", "next",    "night",     "november", "october",
    "recently", "saturday", "september", "since",   "soon",    "spring",    "summer",   "sunday",
    "thursday", "today",    "tomorrow",  "tonight", "tuesday", "wednesday", "week",     "weekend",
    "weekends", "weeks",    "winter",    "year",    "years",   "yesterday"};
constexpr std::array<std::string_view, 19> kNumber = {
    "couple", "eight", "few",     "first", "five", "four",  "many",  "nine",  "once", "one",
    "second", "seven", "several", "six",   "ten",  "third", "three", "twice", "two"};

template <size_t N>
bool among(const std::array<std::string_view, N>& sorted, std::string_view word) {
  return std::binary_search(sorted.begin(), sorted.end(), word);
}

}  // namespace

bool Question::has(std::string_view word) const {
  return std::binary_search(words.begin(), words.end(), word);
}

Question read_question(std::string_view text) {
  Question question;
  for (std::string& term : query_terms(text)) {
    if (question.terms.size() == kMaxQuestionTerms) break;
    if (std::find(question.terms.begin(), question.terms.end(), term) == question.terms.end())
      question.terms.push_back(std::move(term));
  }
  question.words = terms_of(text, {.stem = false, .stop = false});
  std::sort(question.words.begin(), question.words.end());
  question.words.erase(std::unique(question.words.begin(), question.words.end()), question.words.end());
  const auto has = [&](std::string_view word) { return question.has(word); };
  const bool how = has("how");
  question.when =
      has("when") || (how && has("long")) ||
      ((has("what") || has("which")) && (has("date") || has("day") || has("month") || has("year")));
  question.number = how && (has("many") || has("much") || has("often") || has("old"));
  question.first_person = has("i") || has("my") || has("me") || has("mine");
  return question;
}

Tells read_tells(std::string_view text) {
  Tells tells;
  tells.asks = text.find('?') != std::string_view::npos;
  for (const std::string& word : terms_of(text, {.stem = false, .stop = false})) {
    const bool digit = word[0] >= '0' && word[0] <= '9';
    tells.time |= among(kTime, word) || (digit && word.size() == 4 && (word[0] == '1' || word[0] == '2'));
    tells.number |= digit || among(kNumber, word);
  }
  return tells;
}

}  // namespace varve
