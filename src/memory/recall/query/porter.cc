#include "memory/recall/query/porter.h"

#include <algorithm>
#include <string_view>

namespace varve {
namespace {

using View = std::string_view;

bool consonant(View word, size_t i) {
  const char c = word[i];
  if (c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u') return false;
  if (c != 'y') return true;
  // A y is a vowel after a consonant; runs of y alternate, so count back instead of recursing.
  size_t run = 0;
  while (i > run && word[i - run - 1] == 'y') ++run;
  const bool first = i == run || !consonant(word, i - run - 1);
  return first == (run % 2 == 0);
}

// How many vowel-consonant groups follow one another: the paper's m.
int measure(View word) {
  int groups = 0;
  bool vowel_before = false;
  for (size_t i = 0; i < word.size(); ++i) {
    const bool vowel = !consonant(word, i);
    groups += vowel_before && !vowel;
    vowel_before = vowel;
  }
  return groups;
}

bool has_vowel(View word) {
  for (size_t i = 0; i < word.size(); ++i) {
    if (!consonant(word, i)) return true;
  }
  return false;
}

bool double_consonant(View word) {
  const size_t n = word.size();
  return n > 1 && word[n - 1] == word[n - 2] && consonant(word, n - 1);
}

// consonant-vowel-consonant, the last not w, x or y: "hop", not "snow".
bool short_end(View word) {
  const size_t n = word.size();
  return n > 2 && consonant(word, n - 1) && !consonant(word, n - 2) && consonant(word, n - 3) &&
         View("wxy").find(word[n - 1]) == View::npos;
}

bool cut(std::string& word, View suffix) {
  if (!View(word).ends_with(suffix)) return false;
  word.resize(word.size() - suffix.size());
  return true;
}

struct Rule {
  View from, to;
};
constexpr Rule kStep2[] = {{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"},   {"anci", "ance"},
                           {"izer", "ize"},    {"abli", "able"},   {"alli", "al"},     {"entli", "ent"},
                           {"eli", "e"},       {"ousli", "ous"},   {"ization", "ize"}, {"ation", "ate"},
                           {"ator", "ate"},    {"alism", "al"},    {"iveness", "ive"}, {"fulness", "ful"},
                           {"ousness", "ous"}, {"aliti", "al"},    {"iviti", "ive"},   {"biliti", "ble"}};
constexpr Rule kStep3[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
                           {"ical", "ic"},  {"ful", ""},   {"ness", ""}};
constexpr View kStep4[] = {"ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ion", "ism",
                           "ate",   "iti",  "ous",  "ive",  "ize",  "al",   "er",  "ic",  "ou"};

void replace_first(std::string& word, const Rule* begin, const Rule* end) {
  for (const Rule* rule = begin; rule != end; ++rule) {
    if (!View(word).ends_with(rule->from)) continue;
    const View rest = View(word).substr(0, word.size() - rule->from.size());
    if (measure(rest) > 0) word = std::string(rest).append(rule->to);
    return;
  }
}

void step1(std::string& word) {
  if (!View(word).ends_with("ss")) {
    if (View(word).ends_with("sses") || View(word).ends_with("ies")) {
      word.resize(word.size() - 2);
    } else {
      cut(word, "s");
    }
  }
  const View whole(word);
  bool shortened = false;
  if (whole.ends_with("eed")) {
    if (measure(whole.substr(0, whole.size() - 3)) > 0) word.pop_back();
  } else if (whole.ends_with("ed") && has_vowel(whole.substr(0, whole.size() - 2))) {
    shortened = cut(word, "ed");
  } else if (whole.ends_with("ing") && has_vowel(whole.substr(0, whole.size() - 3))) {
    shortened = cut(word, "ing");
  }
  if (shortened) {
    const View stem(word);
    if (stem.ends_with("at") || stem.ends_with("bl") || stem.ends_with("iz")) {
      word += 'e';
    } else if (double_consonant(stem) && View("lsz").find(stem.back()) == View::npos) {
      word.pop_back();
    } else if (measure(stem) == 1 && short_end(stem)) {
      word += 'e';
    }
  }
  if (View(word).ends_with("y") && has_vowel(View(word).substr(0, word.size() - 1))) word.back() = 'i';
}

void step4(std::string& word) {
  for (View suffix : kStep4) {
    if (!View(word).ends_with(suffix)) continue;
    const View rest = View(word).substr(0, word.size() - suffix.size());
    const bool ion = suffix != "ion" || rest.ends_with("s") || rest.ends_with("t");
    if (measure(rest) > 1 && ion) word.resize(rest.size());
    return;
  }
}

void step5(std::string& word) {
  if (View(word).ends_with("e")) {
    const View rest = View(word).substr(0, word.size() - 1);
    const int m = measure(rest);
    if (m > 1 || (m == 1 && !short_end(rest))) word.pop_back();
  }
  if (measure(word) > 1 && double_consonant(word) && word.back() == 'l') word.pop_back();
}

}  // namespace

std::string porter_stem(std::string word) {
  const bool letters = std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  if (word.size() <= 2 || !letters) return word;
  step1(word);
  replace_first(word, std::begin(kStep2), std::end(kStep2));
  replace_first(word, std::begin(kStep3), std::end(kStep3));
  step4(word);
  step5(word);
  return word;
}

}  // namespace varve
