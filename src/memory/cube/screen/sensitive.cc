#include "memory/cube/screen/sensitive.h"

#include "memory/cube/screen/letters.h"

namespace varve {

std::vector<SensitivePart> find_sensitive(std::string_view text, bool secrets, bool personal) {
  std::vector<SensitivePart> all;
  for (size_t at = 0; at < text.size();) {
    const char before = at == 0 ? ' ' : text[at - 1];
    const bool word = !is_alnum(before) && before != '_' && (before != '-' || text[at] != '-');
    const char c = text[at];
    SensitivePart found;
    if (word && (is_alnum(c) || c == '-' || c == '+' || c == '(')) {
      if (secrets) found = secret_at(text, at);
      if (personal && found.end == 0) found = personal_at(text, at);
    }
    if (found.end == 0) {
      ++at;
      continue;
    }
    all.push_back(found);
    at = found.end;
  }
  return all;
}

std::string redacted(std::string_view text, const std::vector<SensitivePart>& findings) {
  std::string out;
  size_t at = 0;
  for (const SensitivePart& found : findings) {
    out.append(text.substr(at, found.begin - at)).append("[redacted: ").append(found.kind).append("]");
    at = found.end;
  }
  return out.append(text.substr(at));
}

}  // namespace varve
