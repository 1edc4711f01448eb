// What is the same for every tokenizer: whole prompts, whole texts, and text that arrives in pieces.
#include "run/model/tokenizer.h"

#include "run/model/tokenizer/unicode.h"

namespace varve {

std::vector<Token> as_prompt(const Tokenizer& tokenizer, std::vector<Token> tokens) {
  const SpecialTokens& special = tokenizer.special();
  const bool own_bos = !tokens.empty() && tokens.front() == special.bos;
  const bool own_eos = !tokens.empty() && tokens.back() == special.eos;
  if (special.add_bos && special.bos && !own_bos) tokens.insert(tokens.begin(), *special.bos);
  if (special.add_eos && special.eos && !own_eos) tokens.push_back(*special.eos);
  return tokens;
}

std::vector<Token> tokenize_prompt(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<Token> tokens;
  tokenizer.encode(text, true, tokens);
  return as_prompt(tokenizer, std::move(tokens));
}

bool ends_sentence(const Tokenizer& tokenizer, Token token) {
  const std::string_view piece = tokenizer.piece(token);
  if (piece.empty()) return tokenizer.is_control(token);
  for (const std::string_view end : {".", "!", "?", "\n", "\u3002", "\uff01", "\uff1f"}) {
    if (piece.size() >= end.size() && piece.substr(piece.size() - end.size()) == end) return true;
  }
  return false;
}

std::string detokenize(const Tokenizer& tokenizer, std::span<const Token> tokens, bool show_special) {
  std::string text;
  bool first = tokenizer.special().space_prefix;
  for (const Token token : tokens) {
    const size_t before = text.size();
    tokenizer.decode(token, show_special, text);
    const bool plain = !tokenizer.is_control(token);
    if (plain && first && text.size() > before && text[before] == ' ') text.erase(before, 1);
    if (plain) first = false;
  }
  return text;
}

Hash256 tokenizer_hash(const Tokenizer& tokenizer) {
  Sha256 hash;
  std::string all;
  for (Token token = 0; token < tokenizer.size(); ++token) {
    const size_t before = all.size();
    tokenizer.decode(token, true, all);
    const uint32_t length = uint32_t(all.size() - before) * 2 + (tokenizer.is_control(token) ? 1 : 0);
    all.append(reinterpret_cast<const char*>(&length), sizeof(length));
    if (all.size() < 1 << 16) continue;
    hash.add(all);
    all.clear();
  }
  const SpecialTokens& special = tokenizer.special();
  const int32_t ids[] = {special.bos.value_or(-1), special.eos.value_or(-1), special.add_bos, special.add_eos,
                         special.space_prefix};
  return hash.add(all).add(std::as_bytes(std::span(ids))).finish();
}

std::string Utf8Stream::push(std::string_view bytes) {
  held_ += bytes;
  const std::string_view all = held_;
  std::string_view whole = all.substr(0, all.size() - unicode::unfinished(all));
  const std::string rest(all.substr(whole.size()));
  std::string text;
  while (!whole.empty()) {
    const unicode::Char c = unicode::first_char(whole);
    unicode::append(c.code, text);
    whole.remove_prefix(c.bytes);
  }
  held_ = rest;
  return text;
}

std::string Utf8Stream::finish() {
  std::string text;
  if (!held_.empty()) unicode::append(unicode::kReplacement, text);
  held_.clear();
  return text;
}

}  // namespace varve
