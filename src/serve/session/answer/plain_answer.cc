#include "serve/session/answer/plain_answer.h"

#include <algorithm>

namespace varve {
namespace {

constexpr size_t kShown = 5;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && uint8_t(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && uint8_t(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}
bool same_words(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
  a = trimmed(a), b = trimmed(b);
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}
bool is_question(std::string_view text) {
  text = trimmed(text);
  for (std::string_view mark : {"?", "\uFF1F", "\u061F"}) {  // full-width and Arabic ones too
    if (text.size() >= mark.size() && text.substr(text.size() - mark.size()) == mark) return true;
  }
  return false;
}

std::string who_said(const CubeHeader& header) {
  if (header.kind == "note") return "you noted";
  if (header.speaker == "user") return "you said";
  if (header.speaker == "assistant") return "the model said";
  if (header.speaker.empty()) return header.title.empty() ? header.kind : header.title;
  return header.speaker + " said";
}

}  // namespace

std::string describe(const Recalled& recalled) {
  const CubeHeader& header = recalled.header;
  std::string line = format_time(header.event.value_or(header.recorded)).substr(0, 10) + ", " +
                     who_said(header) + ": " + std::string(trimmed(recalled.text));
  if (!header.session.empty()) line += " (" + header.session + ", turn " + std::to_string(header.turn) + ")";
  return line;
}

std::string plain_answer(std::string_view user, std::string_view counted, std::vector<Recalled>& recalled) {
  // What no retriever found itself stood only beside something found: context for a model, noise for a
  // person.
  std::erase_if(recalled, [&](const Recalled& one) {
    return one.parts.empty() || same_words(one.text, user) || is_question(one.text);
  });
  if (recalled.size() > kShown) recalled.resize(kShown);
  if (recalled.empty() && !counted.empty()) return std::string(counted);
  if (recalled.empty() && !is_question(user)) return "Noted.";
  if (recalled.empty()) return "Nothing that I remember speaks to that.";
  std::string answer = counted.empty() ? "I remember:" : std::string(counted);
  for (const Recalled& one : recalled) answer += "\n- " + describe(one);
  return answer;
}

}  // namespace varve
