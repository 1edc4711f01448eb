// What tokenizers ask of Unicode. Text is read without ever failing: a byte that begins no valid character is
// taken alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace varve::unicode {

inline constexpr char32_t kReplacement = 0xFFFD;
inline constexpr char32_t kLast = 0x10FFFF;
inline constexpr std::string_view kBlank = "\xE2\x96\x81";  // U+2581, how SentencePiece writes a space

struct Char {
  char32_t code = kReplacement;
  uint32_t bytes = 1;
  bool valid = false;  // else one broken byte, code is U+FFFD
};

// `text` is not empty.
Char first_char(std::string_view text);
// How many bytes at the end of `text` begin a character that may still be completed: 0 to 3.
size_t unfinished(std::string_view text);
void append(char32_t code, std::string& out);

// General categories in the order of the standard's tables, so that a set of them is one word.
enum Category : uint8_t {
  Cn,
  Lu,
  Ll,
  Lt,
  Lm,
  Lo,
  Mn,
  Mc,
  Me,
  Nd,
  Nl,
  No,
  Pc,
  Pd,
  Ps,
  Pe,
  Pi,
  Pf,
  Po,
  Sm,
  Sc,
  Sk,
  So,
  Zs,
  Zl,
  Zp,
  Cc,
  Cf,
  Cs,
  Co
};
Category category(char32_t code);
constexpr uint32_t bit(Category category) {
  return 1u << category;
}
inline constexpr uint32_t kLetter = bit(Lu) | bit(Ll) | bit(Lt) | bit(Lm) | bit(Lo);
inline constexpr uint32_t kMark = bit(Mn) | bit(Mc) | bit(Me);
inline constexpr uint32_t kNumber = bit(Nd) | bit(Nl) | bit(No);
inline constexpr uint32_t kPunctuation = bit(Pc) | bit(Pd) | bit(Ps) | bit(Pe) | bit(Pi) | bit(Pf) | bit(Po);
inline constexpr uint32_t kSymbol = bit(Sm) | bit(Sc) | bit(Sk) | bit(So);
inline constexpr uint32_t kSeparator = bit(Zs) | bit(Zl) | bit(Zp);
inline constexpr uint32_t kOther = bit(Cn) | bit(Cc) | bit(Cf) | bit(Cs) | bit(Co);
inline bool in(char32_t code, uint32_t categories) {
  return (categories >> category(code)) & 1;
}

bool is_space(char32_t code);  // White_Space
char32_t lower(char32_t code);
// The canonical decomposition (NFD) of one character; returns how many there are, at most 4.
size_t decompose(char32_t code, char32_t (&out)[4]);

}  // namespace varve::unicode
