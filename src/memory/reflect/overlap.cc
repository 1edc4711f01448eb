#include "memory/reflect/overlap.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>

namespace varve {
namespace {

constexpr size_t kLetters = 5;
constexpr size_t kWideBytes = 6;  // two characters of three bytes

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? char(c + 32) : c;
}
bool is_word(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || uint8_t(c) >= 0x80;
}

// Runs of letters, in lower case.
std::string words(std::string_view text) {
  std::string out = " ";
  for (char c : text) {
    if (is_word(c)) {
      out += lower(c);
    } else if (out.back() != ' ') {
      out += ' ';
    }
  }
  if (out.back() != ' ') out += ' ';
  return out;
}

using Words = std::set<std::string, std::less<>>;

bool is_wide(std::string_view word) {
  return word.size() >= kWideBytes && (uint8_t(word[0]) & 0xF0) == 0xE0;
}

// Of scripts without spaces, pairs of characters.
Words words_of(std::string_view text) {
  Words all;
  const std::string spaced = words(text);
  for (size_t at = 1, end; at < spaced.size(); at = end + 1) {
    end = spaced.find(' ', at);
    const std::string_view word = std::string_view(spaced).substr(at, end - at);
    if (!is_wide(word)) all.emplace(word);
    for (size_t i = 0; is_wide(word) && i + kWideBytes <= word.size(); i += 3)
      all.emplace(word.substr(i, kWideBytes));
  }
  return all;
}

// What identifies a text: its longer words.
Words marks(std::string_view text) {
  Words all = words_of(text);
  std::erase_if(all, [](const std::string& word) { return !is_wide(word) && word.size() < kLetters; });
  return all;
}

std::vector<Words> words_of_each(const std::vector<std::string>& texts) {
  std::vector<Words> all;
  for (const std::string& text : texts) all.push_back(words_of(text));
  return all;
}

double alike(const Words& a, const Words& b, const std::map<std::string, double, std::less<>>& weight) {
  double both = 0, either = 0;
  for (const std::string& word : a) {
    either += weight.at(word);
    if (b.count(word) != 0) both += weight.at(word);
  }
  for (const std::string& word : b)
    if (a.count(word) == 0) either += weight.at(word);
  return either > 0 ? both / either : 0;
}

}  // namespace

std::vector<std::vector<size_t>> most_alike(const std::vector<std::string>& texts,
                                            const std::vector<std::string>& others, size_t most) {
  const std::vector<Words> mine = words_of_each(texts), theirs = words_of_each(others);
  std::map<std::string, double, std::less<>> weight;  // first how many have the word
  for (const Words& one : mine)
    for (const std::string& word : one) weight[word] += 1;
  for (const Words& one : theirs)
    for (const std::string& word : one) weight[word] += 1;
  for (auto& [word, w] : weight) w = std::log1p(double(texts.size() + others.size()) / w);
  std::vector<std::vector<size_t>> found;
  for (const Words& one : mine) {
    std::vector<double> score;
    for (const Words& other : theirs) score.push_back(alike(one, other, weight));
    std::vector<size_t> order(others.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score[a] > score[b]; });
    order.resize(std::min(order.size(), most));
    found.push_back(std::move(order));
  }
  return found;
}

bool repeats(std::string_view answer, std::string_view recalled, std::string_view user) {
  const auto said = marks(answer), asked = marks(user);
  for (const std::string& mark : marks(recalled)) {
    if (said.count(mark) != 0 && asked.count(mark) == 0) return true;
  }
  return false;
}

bool says_nothing_new(std::string_view text, std::string_view recalled) {
  return words(recalled).find(words(text)) != std::string::npos;
}

}  // namespace varve
