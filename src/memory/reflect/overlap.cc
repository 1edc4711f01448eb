#include "memory/reflect/overlap.h"

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

// What identifies a text: its longer words, and pairs of wide characters.
std::set<std::string, std::less<>> marks(std::string_view text) {
  std::set<std::string, std::less<>> all;
  const std::string spaced = words(text);
  for (size_t at = 1, end; at < spaced.size(); at = end + 1) {
    end = spaced.find(' ', at);
    const std::string_view word = std::string_view(spaced).substr(at, end - at);
    const bool wide = word.size() >= kWideBytes && (uint8_t(word[0]) & 0xF0) == 0xE0;
    if (!wide && word.size() >= kLetters) all.emplace(word);
    for (size_t i = 0; wide && i + kWideBytes <= word.size(); i += 3) all.emplace(word.substr(i, kWideBytes));
  }
  return all;
}

}  // namespace

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
