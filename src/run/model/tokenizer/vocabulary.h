// Vocabulary: the tokens of a model, as its file lists them. VocabularyTokenizer is what all algorithms
// share: special tokens are cut out of the text first, the plain text between them goes to the algorithm.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/budget/ledger.h"
#include "run/model/tokenizer.h"
#include "run/model/tokenizer/split/pre_tokenizer.h"
#include "run/model/tokenizer/strings.h"

namespace varve {

enum class TokenKind : uint8_t {  // numbers are GGUF's
  normal = 1,
  unknown = 2,       // what the vocabulary cannot spell
  control = 3,       // never made from plain text
  user_defined = 4,  // always found as a whole, before the algorithm
  unused = 5,
  byte = 6  // <0x0A>
};

struct Vocabulary {
  StringTable texts;
  std::vector<TokenKind> kinds;
  std::vector<float> scores;  // of spm and unigram
  // Whether a special token swallows the white space before or after it, by token; empty: none does.
  std::vector<bool> strips_left, strips_right;
  SpecialTokens special;

  int32_t size() const { return texts.size(); }
  bool spoken(Token token) const {  // the algorithm may produce it from plain text
    return kinds[token] == TokenKind::normal || kinds[token] == TokenKind::unused;
  }
};

// Corrupt or unsupported vocabularies end here: lengths, kinds, ids, sizes. All makers below rely on it.
Status check_vocabulary(const Vocabulary& vocabulary);

class VocabularyTokenizer : public Tokenizer {
 public:
  // `pieces`: the bytes of each token, by token.
  VocabularyTokenizer(Vocabulary vocabulary, StringTable pieces);

  void encode(std::string_view text, bool parse_special, std::vector<Token>& out) const final;
  void decode(Token token, bool show_special, std::string& out) const final;
  int32_t size() const final { return vocabulary_.size(); }
  const SpecialTokens& special() const final { return vocabulary_.special; }
  std::string_view piece(Token token) const final;
  bool is_control(Token token) const final;

  // What its tables take on the heap. Whoever opens it books as much, and it keeps the booking.
  virtual int64_t held_bytes() const;
  void keep(Reservation booked) { booked_ = std::move(booked); }

 protected:
  virtual void encode_plain(std::string_view text, std::vector<Token>& out) const = 0;
  const Vocabulary& vocabulary() const { return vocabulary_; }
  void append_unknown(std::vector<Token>& out) const;

 private:
  struct Special {
    Token token = -1;
    size_t at = 0, bytes = 0;
  };
  Special next_special(std::string_view text, bool parse_special) const;
  bool known(Token token) const { return token >= 0 && token < size(); }
  bool hidden(Token token) const {
    return vocabulary_.kinds[token] == TokenKind::control || vocabulary_.kinds[token] == TokenKind::unknown;
  }

  Vocabulary vocabulary_;
  StringTable pieces_;
  Trie always_, asked_;  // user-defined tokens; these and the control tokens
  std::array<bool, 256> begins_{};
  Reservation booked_;
};

// The byte that a byte token such as <0x0A> stands for; -1: it is none.
int byte_of(std::string_view text);

// The algorithms. `vocabulary` passed check_vocabulary.
using MadeTokenizer = Result<std::unique_ptr<VocabularyTokenizer>>;
// The tokenizer with `booked` cut to what it holds.
Result<std::unique_ptr<Tokenizer>> keep_booked(MadeTokenizer made, Reservation booked);

// WordPiece: words by the rules of BERT, each spelled by the longest pieces from the left, or unknown.
struct WordPieceOptions {
  std::string first_prefix, next_prefix = "##";  // what marks pieces that begin a word, and those inside
  bool lower_case = true, strip_accents = true, split_chinese = true;
  int32_t longest_word = 100;  // in characters; a longer word is unknown
};
MadeTokenizer make_wordpiece(Vocabulary vocabulary, WordPieceOptions options);

// Whether a space is put before a text, so that its first word is like the others.
enum class SpacePrefix { none, always, if_missing };

struct BpeOptions {
  std::vector<std::pair<std::string, std::string>> merges;  // as the file spells them, the first go first
  PreTokenizer splitter;
  bool ignore_merges = false;  // a word that is a token is taken whole
  bool byte_level = true;      // else characters, with U+2581 for spaces
  SpacePrefix prefix = SpacePrefix::none;
};
MadeTokenizer make_bpe(Vocabulary vocabulary, BpeOptions options);

// SentencePiece's BPE: neighbours merge when together they are a token, the best score first.
MadeTokenizer make_spm(Vocabulary vocabulary, SpacePrefix prefix);

// SentencePiece's unigram model: the most probable tokens, the scores being log probabilities.
struct UnigramOptions {
  std::string charsmap;  // compiled normalisation rules; empty: none
  bool space_prefix = false, merge_spaces = false;
};
// corrupt: rules that lie.
MadeTokenizer make_unigram(Vocabulary vocabulary, UnigramOptions options);

}  // namespace varve
