#include "run/model/template/utf8.h"

#include <utf8proc.h>

#include <utility>

namespace varve::jinja {
namespace {

utf8proc_category_t category(uint32_t code) {
  return utf8proc_category(utf8proc_int32_t(code));
}
bool surrogate(uint32_t code) {
  return code >= 0xD800 && code <= 0xDFFF;
}

template <class Map>
std::string map_chars(std::string_view text, Map map) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Char c = char_at(text, at);
    const uint32_t mapped = surrogate(c.code) ? c.code : map(c.code);
    if (c.code == 0xDF && mapped == 0x1E9E) {
      out += "SS";  // the one capital that utf8proc and Python write differently in common text
    } else if (mapped == c.code) {
      out.append(text.substr(at, c.bytes));
    } else {
      put_char(out, mapped);
    }
    at += c.bytes;
  }
  return out;
}
uint32_t to_upper(uint32_t c) {
  return uint32_t(utf8proc_toupper(utf8proc_int32_t(c)));
}
uint32_t to_lower(uint32_t c) {
  return uint32_t(utf8proc_tolower(utf8proc_int32_t(c)));
}
uint32_t to_title(uint32_t c) {
  return uint32_t(utf8proc_totitle(utf8proc_int32_t(c)));
}

bool is_letter(uint32_t code) {
  const auto kind = category(code);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}
bool in_class(uint32_t code, CharClass wanted) {
  const auto kind = category(code);
  const bool decimal = kind == UTF8PROC_CATEGORY_ND;
  const bool numeric = decimal || kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_NO;
  switch (wanted) {
    case CharClass::alpha: return is_letter(code);
    case CharClass::decimal: return decimal;
    case CharClass::digit: return decimal || code == 0xB2 || code == 0xB3 || code == 0xB9;
    case CharClass::numeric: return numeric;
    case CharClass::alnum: return is_letter(code) || numeric;
    case CharClass::space: return is_space(code);
    case CharClass::upper: return kind == UTF8PROC_CATEGORY_LU;
    case CharClass::lower: return kind == UTF8PROC_CATEGORY_LL;
  }
  return false;
}

}  // namespace

Char char_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? uint8_t(text[at + i]) : 0u; };
  const uint32_t first = byte(0);
  const Char broken{0xDC00 + first, 1};
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return broken;
  uint32_t code = first & (0x7Fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return broken;
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[bytes] || code > 0x10FFFF || surrogate(code)) return broken;
  return {code, bytes};
}

Char last_char(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (text[at] & 0xC0) == 0x80) --at;
  const Char c = char_at(text, at);
  // Going back over broken bytes may find a whole character that ends before them.
  return at + c.bytes == text.size() ? c : char_at(text, text.size() - 1);
}

void put_char(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out.push_back(char(code));
  } else if (code < 0x800) {
    out.push_back(char(0xC0 | code >> 6));
    out.push_back(char(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out.push_back(char(0xE0 | code >> 12));
    out.push_back(char(0x80 | (code >> 6 & 0x3F)));
    out.push_back(char(0x80 | (code & 0x3F)));
  } else {
    out.push_back(char(0xF0 | code >> 18));
    out.push_back(char(0x80 | (code >> 12 & 0x3F)));
    out.push_back(char(0x80 | (code >> 6 & 0x3F)));
    out.push_back(char(0x80 | (code & 0x3F)));
  }
}

size_t count_chars(std::string_view text) {
  size_t chars = 0;
  for (size_t at = 0; at < text.size(); ++chars) at += char_at(text, at).bytes;
  return chars;
}

size_t byte_offset(std::string_view text, size_t chars) {
  size_t at = 0;
  for (; chars > 0 && at < text.size(); --chars) at += char_at(text, at).bytes;
  return at;
}

bool is_space(uint32_t code) {
  return (code >= 9 && code <= 13) || (code >= 0x1C && code <= 0x20) || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

bool is_printable(uint32_t code) {
  if (code < 0x7F) return code >= 0x20;
  const auto kind = category(code);
  return kind != UTF8PROC_CATEGORY_CN && kind < UTF8PROC_CATEGORY_ZS;
}

std::string_view strip_left(std::string_view text) {
  while (!text.empty()) {
    const Char c = char_at(text, 0);
    if (!is_space(c.code)) break;
    text.remove_prefix(c.bytes);
  }
  return text;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    const Char c = last_char(text);
    if (!is_space(c.code)) break;
    text.remove_suffix(c.bytes);
  }
  return text;
}

std::string upper(std::string_view text) {
  return map_chars(text, to_upper);
}
std::string lower(std::string_view text) {
  return map_chars(text, to_lower);
}
std::string capitalize(std::string_view text) {
  return map_chars(text, [first = true](uint32_t c) mutable {
    return std::exchange(first, false) ? to_title(c) : to_lower(c);
  });
}
std::string title(std::string_view text) {
  return map_chars(text, [inside = false](uint32_t c) mutable {
    const bool was = std::exchange(inside, is_letter(c));
    return was ? to_lower(c) : to_title(c);
  });
}

bool all_of(std::string_view text, CharClass wanted) {
  bool any = false;
  for (size_t at = 0; at < text.size();) {
    const Char c = char_at(text, at);
    at += c.bytes;
    // isupper and islower look at cased characters only.
    if (wanted == CharClass::upper || wanted == CharClass::lower) {
      const bool cased = in_class(c.code, CharClass::upper) || in_class(c.code, CharClass::lower);
      if (!cased) continue;
    }
    if (surrogate(c.code) || !in_class(c.code, wanted)) return false;
    any = true;
  }
  return any;
}

}  // namespace varve::jinja
