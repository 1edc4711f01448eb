// Email addresses and telephone numbers.
#include "memory/cube/screen/letters.h"
#include "memory/cube/screen/sensitive.h"

namespace varve {
namespace {

SensitivePart email(std::string_view text, size_t at) {
  const auto is_local = [](char c) {
    return is_alnum(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-';
  };
  const size_t local = run(text, at, 65, is_local), sign = at + local;
  if (local == 0 || local > 64 || sign >= text.size() || text[sign] != '@') return {};
  const auto is_domain = [](char c) { return is_alnum(c) || c == '-' || c == '.'; };
  size_t end = sign + 1 + run(text, sign + 1, 253, is_domain);
  while (end > sign + 1 && !is_alnum(text[end - 1])) --end;  // the full stop of a sentence
  const std::string_view domain = text.substr(sign + 1, end - sign - 1);
  const size_t dot = domain.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || domain.size() - dot < 3) return {};
  for (char c : domain.substr(dot + 1)) {
    if (!is_lower(c) && !is_upper(c)) return {};
  }
  return {at, end, "email address"};
}

// +49 30 1234567, (030) 1234-5678, 415-555-0100. Dates, times and addresses of machines are none.
SensitivePart phone(std::string_view text, size_t at) {
  const bool international = text[at] == '+';
  if (at > 0 && std::string_view(".,-/:").find(text[at - 1]) != std::string_view::npos) return {};
  if (at > 1 && text[at - 1] == ' ' && is_digit(text[at - 2])) return {};  // the middle of a number
  size_t digits = 0, groups = 0, first = 0, dots = 0, end = at;
  bool in_group = false;
  for (size_t i = at + international; i < text.size() && i < at + 32; ++i) {
    const char c = text[i];
    if (is_digit(c)) {
      groups += !in_group;
      first += groups == 1;
      in_group = true;
      ++digits;
      end = i + 1;
    } else if (c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' || c == '/') {
      if (!in_group && (c == '-' || c == '.' || c == '/')) break;
      dots += c == '.';
      in_group = false;
    } else {
      break;
    }
  }
  if (end < text.size() && (is_alnum(text[end]) || text[end] == ':')) return {};
  if ((groups == 4 && dots == 3) || (groups == 2 && dots == 1)) return {};  // 192.168.100.200, 0.1415926535
  const bool marked = text[at] == '0' || text[at] == '(';
  if (!international && !marked && !(groups == 3 && first == 3 && digits == 10)) return {};
  const bool enough = international ? digits >= 7 : digits >= 9 && groups >= 2 && groups <= 5;
  return enough && digits <= 15 ? SensitivePart{at, end, "telephone number"} : SensitivePart{};
}

}  // namespace

SensitivePart personal_at(std::string_view text, size_t at) {
  if (is_alnum(text[at])) {
    if (const SensitivePart found = email(text, at); found.end != 0) return found;
  }
  if (is_digit(text[at]) || text[at] == '+' || text[at] == '(') return phone(text, at);
  return {};
}

}  // namespace varve
