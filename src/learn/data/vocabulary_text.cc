#include "learn/data/vocabulary_text.h"

#include <set>

#include "learn/world/language/text.h"

namespace varve {
namespace {

bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::set<std::string, std::less<>> values() {
  std::set<std::string, std::less<>> all;
  for (const auto& [type, words] : world::Lexicon::get().lists()) {
    if (words.eval.empty()) continue;  // a closed class, which both splits share
    for (const std::string& value : words.train) {
      for (const std::string_view word : world::split(value, ' ')) {
        if (word.size() > 3) all.insert(world::lower(std::string(word)));
      }
    }
  }
  return all;
}

void append(std::string_view text, const std::set<std::string, std::less<>>& without, std::string& out) {
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && in_word(text[end])) ++end;
    if (end == at) {
      out += text[at++];
      continue;
    }
    const std::string_view word = text.substr(at, end - at);
    if (!without.contains(world::lower(std::string(word)))) out += word;
    at = end;
  }
  out += '\n';
}

}  // namespace

std::string vocabulary_text(const world::World& world, uint64_t items) {
  const auto without = values();
  std::string out;
  for (uint64_t i = 0; i < items; ++i) {
    const world::Item item = world.item(i);
    append(item.text, without, out);
    for (const Json& message : item.messages.as_array()) append(message["content"].as_string(), without, out);
  }
  return out;
}

}  // namespace varve
