// Byte pair encoding (Sennrich et al. 2016) as GPT-2 made it: the text is cut into words, a word into bytes,
// and neighbours merge in the order of the merge list. Vocabularies of this kind write bytes in an alphabet
// of printable characters; here they are kept as the bytes. The same list can also work on characters, with
// bytes spelled <0x0A> where a character is missing.
#include <map>

#include "run/model/tokenizer/blank.h"
#include "run/model/tokenizer/merge.h"
#include "run/model/tokenizer/unicode.h"
#include "run/model/tokenizer/vocabulary.h"

namespace varve {
namespace {

// GPT-2's alphabet: printable Latin-1 stands for itself, the other 68 bytes follow from U+0100, in order.
std::optional<std::string> bytes_of(std::string_view text) {
  static const std::map<char32_t, char> alphabet = [] {
    std::map<char32_t, char> table;
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool itself = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      table[itself ? static_cast<char32_t>(b) : next++] = static_cast<char>(b);
    }
    return table;
  }();
  std::string bytes;
  while (!text.empty()) {
    const unicode::Char c = unicode::first_char(text);
    const auto byte = alphabet.find(c.code);
    if (byte == alphabet.end()) return {};
    bytes += byte->second;
    text.remove_prefix(c.bytes);
  }
  return bytes;
}

// What two numbered neighbours become. Open addressing: a vocabulary has hundreds of thousands of pairs, and
// encoding does little else than ask for them.
class PairTable {
 public:
  explicit PairTable(size_t pairs) {
    size_t slots = 16;
    while (slots * 3 < pairs * 4) slots *= 2;
    slots_.resize(slots);
  }
  void add(int32_t left, int32_t right, Merge merge) {  // the first of equals counts
    Slot& slot = slots_[find(key(left, right))];
    if (slot.key == kFree) slot = {key(left, right), merge};
  }
  std::optional<Merge> operator()(const Symbol& left, const Symbol& right) const {
    if (left.token < 0 || right.token < 0) return {};
    const Slot& slot = slots_[find(key(left.token, right.token))];
    return slot.key == kFree ? std::nullopt : std::optional(slot.merge);
  }
  int64_t held_bytes() const { return varve::held_bytes(slots_); }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};
  struct Slot {
    uint64_t key = kFree;
    Merge merge{};
  };
  static uint64_t key(int32_t left, int32_t right) {
    return uint64_t(uint32_t(left)) << 32 | uint32_t(right);
  }
  size_t find(uint64_t key) const {
    size_t at = (key * 0x9E3779B97F4A7C15u >> 20) & (slots_.size() - 1);
    while (slots_[at].key != kFree && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  std::vector<Slot> slots_;
};

class Bpe final : public VocabularyTokenizer {
 public:
  Bpe(Vocabulary tokens, StringTable pieces, BpeOptions options)
      : VocabularyTokenizer(std::move(tokens), pieces),
        options_(std::move(options)),
        names_(options_.byte_level ? std::move(pieces) : vocabulary().texts),
        pairs_(options_.merges.size()) {
    byte_tokens_.fill(-1);
    for (Token token = 0; token < size(); ++token) name(token);
    float rank = 0;
    for (const auto& [left, right] : options_.merges) {
      const std::string a = spelled(left), b = spelled(right);
      pairs_.add(number(a), number(b), {rank++, number(a + b)});
    }
    options_.merges = decltype(options_.merges)();  // "= {}" would keep its room
    names_.pack();
  }

  static std::string spelled(std::string_view text, bool byte_level) {
    return byte_level ? bytes_of(text).value_or(std::string(text)) : std::string(text);
  }

  int64_t held_bytes() const override {
    return VocabularyTokenizer::held_bytes() + names_.held_bytes() + index_.held_bytes() +
           pairs_.held_bytes() + options_.splitter.held_bytes();
  }

 protected:
  void encode_plain(std::string_view text, std::vector<Token>& out) const override {
    std::string blanks;
    if (!options_.byte_level) {
      text = blanks = with_blanks(text, options_.prefix);
    } else if (options_.prefix != SpacePrefix::none && text[0] != ' ') {
      text = blanks = " " + std::string(text);
    }
    std::vector<std::string_view> words;
    options_.splitter.split(text, words);
    Merger merger;
    for (std::string_view word : words) {
      while (!word.empty()) {
        const std::string_view part = bounded(word);
        encode_word(part, merger, out);
        word.remove_prefix(part.size());
      }
    }
  }

 private:
  std::string spelled(std::string_view text) const { return spelled(text, options_.byte_level); }

  // Texts that merges pass through have numbers too, behind the tokens, when they are no tokens.
  int32_t number(std::string_view text) {
    const int32_t known = index_.find(names_, text);
    if (known >= 0) return known;
    const int32_t fresh = names_.add(text);
    index_.add(names_, fresh);
    return fresh;
  }

  void name(Token token) {
    const Vocabulary& all = vocabulary();
    // Other kinds are found before this, by their own text; but with U+2581 for spaces they come up here.
    const bool spoken =
        all.spoken(token) || (!options_.byte_level && all.kinds[token] == TokenKind::user_defined);
    if (spoken && !names_[token].empty()) index_.add(names_, token);
    const int byte = options_.byte_level ? (all.spoken(token) && names_[token].size() == 1
                                                ? static_cast<unsigned char>(names_[token][0])
                                                : -1)
                                         : byte_of(all.texts[token]);
    if (byte >= 0 && byte_tokens_[byte] < 0) byte_tokens_[byte] = token;
  }

  void encode_word(std::string_view word, Merger& merger, std::vector<Token>& out) const {
    const bool newlines = !options_.byte_level && word.find_first_not_of('\n') == std::string_view::npos;
    if (options_.ignore_merges || newlines) {
      const int32_t whole = index_.find(names_, word);
      if (whole >= 0 && whole < size()) {
        out.push_back(whole);
        return;
      }
    }
    merger.symbols.clear();
    for (uint32_t at = 0; at < word.size();) {
      const uint32_t bytes = options_.byte_level ? 1 : unicode::first_char(word.substr(at)).bytes;
      merger.add(at, bytes, index_.find(names_, word.substr(at, bytes)));
      at += bytes;
    }
    merger.run(pairs_);
    for (int32_t at = 0; at >= 0; at = merger.symbols[at].next) {
      const Symbol& symbol = merger.symbols[at];
      if (symbol.token >= 0 && symbol.token < size()) {
        out.push_back(symbol.token);
      } else {
        spell(word.substr(symbol.begin, symbol.bytes), out);
      }
    }
  }

  void spell(std::string_view text, std::vector<Token>& out) const {
    for (const char c : text) {
      const Token token = byte_tokens_[static_cast<unsigned char>(c)];
      token >= 0 ? out.push_back(token) : append_unknown(out);
    }
  }

  BpeOptions options_;
  StringTable names_;
  StringIndex index_;
  PairTable pairs_;
  std::array<Token, 256> byte_tokens_;
};

}  // namespace

MadeTokenizer make_bpe(Vocabulary vocabulary, BpeOptions options) {
  if (options.merges.size() >= 1 << 24) return Status(Code::corrupt, "tokenizer: 16777216 merges or more");
  vocabulary.special.space_prefix = options.prefix != SpacePrefix::none;
  StringTable pieces = blank_pieces(vocabulary);
  if (options.byte_level) {
    pieces = {};
    for (Token token = 0; token < vocabulary.size(); ++token) {
      const std::string_view text = vocabulary.texts[token];
      pieces.add(vocabulary.spoken(token) ? Bpe::spelled(text, true) : std::string(text));
    }
  }
  return std::unique_ptr<VocabularyTokenizer>(
      new Bpe(std::move(vocabulary), std::move(pieces), std::move(options)));
}

}  // namespace varve
