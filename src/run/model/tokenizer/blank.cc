#include "run/model/tokenizer/blank.h"

#include <algorithm>

#include "run/model/tokenizer/unicode.h"

namespace varve {
namespace {
constexpr size_t kLongestWord = 1 << 18;
}

std::string with_blanks(std::string_view text, SpacePrefix prefix) {
  std::string out;
  const bool there = text.starts_with(' ') || text.starts_with(unicode::kBlank);
  if (prefix == SpacePrefix::always || (prefix == SpacePrefix::if_missing && !there)) out = unicode::kBlank;
  for (const char c : text) c == ' ' ? out += unicode::kBlank : out += c;
  return out;
}

StringTable blank_pieces(const Vocabulary& vocabulary) {
  StringTable pieces;
  std::string piece;
  for (Token token = 0; token < vocabulary.size(); ++token) {
    std::string_view text = vocabulary.texts[token];
    piece.clear();
    if (vocabulary.kinds[token] == TokenKind::byte) {
      piece = static_cast<char>(byte_of(text));
      text = {};
    }
    while (!text.empty()) {
      const bool blank = text.starts_with(unicode::kBlank);
      piece += blank ? ' ' : text[0];
      text.remove_prefix(blank ? unicode::kBlank.size() : 1);
    }
    pieces.add(piece);
  }
  return pieces;
}

size_t next_word(std::string_view text) {
  size_t at = 0;
  while (text.substr(at).starts_with(unicode::kBlank)) at += unicode::kBlank.size();
  return std::min(text.find(unicode::kBlank, at), text.size());
}

std::string_view bounded(std::string_view word) {
  if (word.size() <= kLongestWord) return word;
  return word.substr(0, kLongestWord - unicode::unfinished(word.substr(0, kLongestWord)));
}

}  // namespace varve
