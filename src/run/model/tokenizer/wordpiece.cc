// WordPiece (Schuster & Nakajima 2012) as BERT uses it: text is cleaned, lower-cased and cut into words and
// single punctuation marks; a word is spelled by the longest pieces from the left, or is unknown as a whole.
// Characters that BERT drops (controls, U+FFFD, so broken UTF-8 too) give no token.
#include <algorithm>

#include "run/model/tokenizer/unicode.h"
#include "run/model/tokenizer/vocabulary.h"

namespace varve {
namespace {

using namespace unicode;

bool is_chinese(char32_t c) {  // the blocks that BERT names, with the gap that its ports agree on
  constexpr char32_t kBlocks[][2] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF},
                                     {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF},
                                     {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  return c >= 0x3400 && std::any_of(std::begin(kBlocks), std::end(kBlocks),
                                    [c](const auto& block) { return c >= block[0] && c <= block[1]; });
}

bool is_mark_of_its_own(char32_t c) {  // punctuation; of the symbols only the ASCII ones
  return in(c, kPunctuation) || (c < 0x7F && in(c, kSymbol));
}

class WordPiece final : public VocabularyTokenizer {
 public:
  WordPiece(Vocabulary vocabulary, StringTable pieces, const WordPieceOptions& options)
      : VocabularyTokenizer(std::move(vocabulary), std::move(pieces)), options_(options) {
    std::vector<Trie::Entry> first, next;
    for (Token token = 0; token < size(); ++token) {
      if (!this->vocabulary().spoken(token)) continue;
      const std::string_view text = this->vocabulary().texts[token];
      const bool inside = begins_inside(text, options);
      (inside ? next : first).push_back({stripped(text, options), token});
    }
    first_ = Trie(std::move(first));
    next_ = Trie(std::move(next));
  }

  // One of the two prefixes is not empty, and tells.
  static bool begins_inside(std::string_view text, const WordPieceOptions& options) {
    if (options.first_prefix.empty())
      return text.size() > options.next_prefix.size() && text.starts_with(options.next_prefix);
    return !text.starts_with(options.first_prefix);
  }
  static std::string_view stripped(std::string_view text, const WordPieceOptions& options) {
    return text.substr(begins_inside(text, options) ? options.next_prefix.size()
                                                    : options.first_prefix.size());
  }

  int64_t held_bytes() const override {
    return VocabularyTokenizer::held_bytes() + first_.held_bytes() + next_.held_bytes();
  }

 protected:
  void encode_plain(std::string_view text, std::vector<Token>& out) const override {
    Word word;
    while (!text.empty()) {
      const Char c = first_char(text);
      text.remove_prefix(c.bytes);
      if (is_space(c.code)) {
        flush(word, out);
      } else if (c.code != kReplacement && !in(c.code, kOther)) {
        add(c.code, word, out);
      }
    }
    flush(word, out);
  }

 private:
  struct Word {
    std::string text;
    int32_t characters = 0;
  };

  void add(char32_t code, Word& word, std::vector<Token>& out) const {
    char32_t parts[4] = {code};
    const size_t count = options_.strip_accents ? decompose(code, parts) : 1;
    for (size_t i = 0; i < count; ++i) {
      if (options_.strip_accents && in(parts[i], bit(Mn))) continue;
      const char32_t c = options_.lower_case ? lower(parts[i]) : parts[i];
      const bool alone = is_mark_of_its_own(c) || (options_.split_chinese && is_chinese(c));
      if (alone) flush(word, out);
      if (++word.characters <= options_.longest_word) append(c, word.text);
      if (alone) flush(word, out);
    }
  }

  void flush(Word& word, std::vector<Token>& out) const {
    if (word.characters == 0) return;
    const size_t before = out.size();
    std::string_view rest = word.text;
    const Trie* trie = &first_;
    while (!rest.empty()) {
      const Trie::Match match = trie->longest(rest);
      if (match.bytes == 0) break;
      out.push_back(match.value);
      rest.remove_prefix(match.bytes);
      trie = &next_;
    }
    if (!rest.empty() || word.characters > options_.longest_word) {
      out.resize(before);
      append_unknown(out);
    }
    word = {};
  }

  const WordPieceOptions options_;
  Trie first_, next_;
};

}  // namespace

MadeTokenizer make_wordpiece(Vocabulary vocabulary, WordPieceOptions options) {
  vocabulary.special.space_prefix = true;
  StringTable pieces;
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const std::string_view text = vocabulary.texts[token];
    const bool word = vocabulary.spoken(token) && !WordPiece::begins_inside(text, options);
    const std::string_view own = vocabulary.spoken(token) ? WordPiece::stripped(text, options) : text;
    pieces.add(word ? " " + std::string(own) : std::string(own));
  }
  return std::unique_ptr<VocabularyTokenizer>(
      new WordPiece(std::move(vocabulary), std::move(pieces), options));
}

}  // namespace varve
