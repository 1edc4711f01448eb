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
