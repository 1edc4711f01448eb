// Characters of a UTF-8 string. A byte that belongs to no character counts as one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace varve::jinja {

struct Char {
  uint32_t code = 0;  // of a broken byte: 0xDC00 + the byte, as Python's surrogateescape
  size_t bytes = 0;
};
Char char_at(std::string_view text, size_t at);
Char last_char(std::string_view text);  // the character that ends the text, which is not empty
void put_char(std::string& out, uint32_t code);

size_t count_chars(std::string_view text);
size_t byte_offset(std::string_view text, size_t chars);  // text.size() when there are fewer
bool is_space(uint32_t code);                             // Python's str.isspace
bool is_printable(uint32_t code);
std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);
inline std::string_view strip(std::string_view text) {
  return strip_left(strip_right(text));
}

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);

// Whether every character is of a class, by Unicode.
enum class CharClass { alpha, digit, decimal, numeric, alnum, space, upper, lower };
bool all_of(std::string_view text, CharClass wanted);  // false for the empty string

}  // namespace varve::jinja
