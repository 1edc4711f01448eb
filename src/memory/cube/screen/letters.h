// ASCII as the matchers see it, and runs of it.
#pragma once

#include <cstddef>
#include <string_view>

namespace varve {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
constexpr bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
constexpr bool is_alnum(char c) {
  return is_digit(c) || is_upper(c) || is_lower(c);
}
constexpr char to_lower(char c) {
  return is_upper(c) ? char(c + 32) : c;
}
inline bool begins(std::string_view text, size_t at, std::string_view with) {  // upper or lower case alike
  if (text.size() - at < with.size()) return false;
  for (size_t i = 0; i < with.size(); ++i) {
    if (to_lower(text[at + i]) != with[i]) return false;
  }
  return true;
}

// How many characters from `at` on are of a kind; at most `most`.
template <class Kind>
size_t run(std::string_view text, size_t at, size_t most, Kind kind) {
  size_t count = 0;
  while (count < most && at + count < text.size() && kind(text[at + count])) ++count;
  return count;
}

}  // namespace varve
