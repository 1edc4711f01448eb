#include "run/model/tokenizer/vocabulary.h"

#include <cmath>

namespace varve {
namespace {

constexpr size_t kLongestSpecial = 256;  // bytes; keeps the search for special tokens linear
constexpr size_t kLongestToken = 1 << 16;
constexpr int32_t kMostTokens = 1 << 24;

bool is_special(TokenKind kind) {
  return kind == TokenKind::control || kind == TokenKind::user_defined || kind == TokenKind::unknown;
}

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

Status bad(std::string message) {
  return Status(Code::corrupt, "tokenizer: " + std::move(message));
}

Status check_token(const Vocabulary& vocabulary, Token token) {
  const size_t bytes = vocabulary.texts[token].size();
  const TokenKind kind = vocabulary.kinds[token];
  const std::string name = "token " + std::to_string(token);
  if (kind < TokenKind::normal || kind > TokenKind::byte) return bad(name + " has an unknown type");
  if (bytes > kLongestToken || (is_special(kind) && bytes > kLongestSpecial)) {
    return bad(name + " has " + std::to_string(bytes) + " bytes, too many");
  }
  if (kind == TokenKind::byte && byte_of(vocabulary.texts[token]) < 0) {
    return bad(name + " is a byte token that does not read like <0x0A>");
  }
  if (!vocabulary.scores.empty() && !std::isfinite(vocabulary.scores[token])) {
    return bad(name + " has a score that is not finite");
  }
  return {};
}

}  // namespace

Status check_vocabulary(const Vocabulary& vocabulary) {
  const size_t count = vocabulary.kinds.size();
  if (vocabulary.size() == 0) return bad("the vocabulary is empty");
  if (vocabulary.size() > kMostTokens) return bad("the vocabulary has more than 16777216 tokens");
  if (count != size_t(vocabulary.size())) return bad("there are not as many token types as tokens");
  if (!vocabulary.scores.empty() && vocabulary.scores.size() != count) {
    return bad("there are not as many scores as tokens");
  }
  for (Token token = 0; token < vocabulary.size(); ++token) TRY(check_token(vocabulary, token));
  const SpecialTokens& special = vocabulary.special;
  for (const auto& id :
       {special.bos, special.eos, special.eot, special.unknown, special.separator, special.padding}) {
    if (id && (*id < 0 || *id >= vocabulary.size())) {
      return bad("special token " + std::to_string(*id) + " is outside the vocabulary of " +
                 std::to_string(count));
    }
  }
  return {};
}

VocabularyTokenizer::VocabularyTokenizer(Vocabulary vocabulary, StringTable pieces)
    : vocabulary_(std::move(vocabulary)), pieces_(std::move(pieces)) {
  vocabulary_.texts.pack();
  pieces_.pack();
  std::vector<Trie::Entry> always, asked;
  for (Token token = 0; token < size(); ++token) {
    const std::string_view text = vocabulary_.texts[token];
    const TokenKind kind = vocabulary_.kinds[token];
    if (text.empty() || !is_special(kind)) continue;
    asked.push_back({text, token});
    if (kind == TokenKind::user_defined) always.push_back({text, token});
    begins_[static_cast<unsigned char>(text[0])] = true;
  }
  always_ = Trie(std::move(always));
  asked_ = Trie(std::move(asked));
}

int64_t VocabularyTokenizer::held_bytes() const {
  const Vocabulary& v = vocabulary_;
  const int64_t flags = int64_t(v.strips_left.capacity() + v.strips_right.capacity()) / 8;
  return v.texts.held_bytes() + pieces_.held_bytes() + always_.held_bytes() + asked_.held_bytes() + flags +
         varve::held_bytes(v.kinds) + varve::held_bytes(v.scores) +
         varve::held_bytes(v.special.end_of_generation);
}

VocabularyTokenizer::Special VocabularyTokenizer::next_special(std::string_view text,
                                                               bool parse_special) const {
  const Trie& trie = parse_special ? asked_ : always_;
  for (size_t at = 0; at < text.size(); ++at) {
    if (!begins_[static_cast<unsigned char>(text[at])]) continue;
    const Trie::Match match = trie.longest(text.substr(at));
    if (match.value >= 0) return {match.value, at, match.bytes};
  }
  return {.at = text.size()};
}

void VocabularyTokenizer::encode(std::string_view text, bool parse_special, std::vector<Token>& out) const {
  const auto strips = [](const std::vector<bool>& flags, Token token) {
    return !flags.empty() && flags[token];
  };
  while (!text.empty()) {
    const Special found = next_special(text, parse_special);
    std::string_view plain = text.substr(0, found.at);
    text.remove_prefix(found.at + found.bytes);
    if (found.token >= 0 && strips(vocabulary_.strips_left, found.token)) {
      while (!plain.empty() && is_space(plain.back())) plain.remove_suffix(1);
    }
    if (!plain.empty()) encode_plain(plain, out);
    if (found.token < 0) return;
    out.push_back(found.token);
    if (strips(vocabulary_.strips_right, found.token)) {
      while (!text.empty() && is_space(text[0])) text.remove_prefix(1);
    }
  }
}

void VocabularyTokenizer::decode(Token token, bool show_special, std::string& out) const {
  if (!known(token)) return;
  out += hidden(token) && show_special ? vocabulary_.texts[token] : piece(token);
}

std::string_view VocabularyTokenizer::piece(Token token) const {
  return known(token) && !hidden(token) ? pieces_[token] : std::string_view();
}

bool VocabularyTokenizer::is_control(Token token) const {
  return known(token) && vocabulary_.kinds[token] == TokenKind::control;
}

void VocabularyTokenizer::append_unknown(std::vector<Token>& out) const {
  if (vocabulary_.special.unknown) out.push_back(*vocabulary_.special.unknown);
}

Result<std::unique_ptr<Tokenizer>> keep_booked(MadeTokenizer made, Reservation booked) {
  auto tokenizer = TRY(std::move(made));
  TRY(booked.resize(tokenizer->held_bytes()));
  tokenizer->keep(std::move(booked));
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

int byte_of(std::string_view text) {
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
  int value = 0;
  for (const char c : text.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

}  // namespace varve
