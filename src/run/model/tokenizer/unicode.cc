#include "run/model/tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>

namespace varve::unicode {
namespace {

// Bytes of the character that `lead` begins and the smallest code it may hold; 0 when it begins none.
struct Lead {
  uint32_t bytes;
  char32_t least;
};

Lead lead_of(unsigned char lead) {
  if (lead < 0x80) return {1, 0};
  if (lead < 0xC2) return {0, 0};
  if (lead < 0xE0) return {2, 0x80};
  if (lead < 0xF0) return {3, 0x800};
  if (lead < 0xF5) return {4, 0x10000};
  return {0, 0};
}

}  // namespace

Char first_char(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const auto [bytes, least] = lead_of(lead);
  if (bytes == 1) return {lead, 1, true};
  if (bytes == 0 || text.size() < bytes) return {};
  char32_t code = lead & (0x7Fu >> bytes);
  for (uint32_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0) != 0x80) return {};
    code = code << 6 | (next & 0x3F);
  }
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < least || code > kLast || surrogate) return {};
  return {code, bytes, true};
}

size_t unfinished(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    if (lead_of(byte).bytes <= back) return 0;
    if (back == 1) return 1;
    std::string whole(text.substr(text.size() - back));  // the second byte decides: E0 80 begins nothing
    whole.resize(lead_of(byte).bytes, '\x80');
    return first_char(whole).valid ? back : 0;
  }
  return 0;
}

void append(char32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const uint32_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  out += static_cast<char>((0xF00u >> bytes & 0xFF) | code >> 6 * (bytes - 1));
  for (uint32_t i = bytes - 1; i-- > 0;) out += static_cast<char>(0x80 | (code >> 6 * i & 0x3F));
}

Category category(char32_t code) {
  static_assert(int(Co) == UTF8PROC_CATEGORY_CO && int(So) == UTF8PROC_CATEGORY_SO);
  return static_cast<Category>(utf8proc_category(static_cast<utf8proc_int32_t>(code)));
}

bool is_space(char32_t code) {
  if (code < 0x80) return code == ' ' || (code >= '\t' && code <= '\r');
  return code == 0x85 || in(code, kSeparator);
}

char32_t lower(char32_t code) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

size_t decompose(char32_t code, char32_t (&out)[4]) {
  utf8proc_int32_t parts[4];
  int boundary = 0;
  const auto count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts, 4, UTF8PROC_DECOMPOSE, &boundary);
  if (count < 1 || count > 4) {
    out[0] = code;
    return 1;
  }
  std::copy_n(parts, count, out);
  return static_cast<size_t>(count);
}

}  // namespace varve::unicode
