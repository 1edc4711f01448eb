// Tokenizer: text to token ids and back. One file an algorithm (bpe, spm, unigram, wordpiece), filled from
// GGUF metadata or from a Hugging Face tokenizer.json. Immutable, thread-safe, linear time in the text, no
// recursion on it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/hash.h"
#include "core/base/status.h"
#include "core/budget/ledger.h"
#include "core/format/gguf.h"

namespace varve {

using Token = int32_t;

struct SpecialTokens {
  std::optional<Token> bos, eos, eot, unknown, separator, padding;
  bool add_bos = false, add_eos = false;
  bool space_prefix = false;             // a text's first token decodes with a space that the text had not
  std::vector<Token> end_of_generation;  // eos, eot and whatever else ends an answer
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // Appends the ids of `text`. parse_special: "<|im_end|>" in it becomes the control token, else plain text.
  // BOS and EOS are not added here. Invalid UTF-8 is taken byte by byte where the vocabulary can, else as
  // unknown.
  virtual void encode(std::string_view text, bool parse_special, std::vector<Token>& out) const = 0;
  // Appends the bytes of a token (maybe half a character). Control tokens give nothing unless show_special.
  virtual void decode(Token token, bool show_special, std::string& out) const = 0;
  virtual int32_t size() const = 0;
  virtual const SpecialTokens& special() const = 0;
  // The raw bytes that a token stands for; empty for control tokens and the unknown one. For grammars.
  virtual std::string_view piece(Token token) const = 0;
  virtual bool is_control(Token token) const = 0;
};

// invalid: no tokenizer in the file (says how to get one); unsupported: an unknown model or pre-tokenizer
// (lists the known); corrupt: a vocabulary that contradicts itself; over_budget: its tables do not fit. They
// are booked as long as the tokenizer lives, which the ledger must outlive.
Result<std::unique_ptr<Tokenizer>> open_tokenizer(const Gguf& gguf, Ledger& ledger);
Result<std::unique_ptr<Tokenizer>> open_tokenizer_json(std::string_view tokenizer_json, Ledger& ledger);

// A whole prompt: BOS and EOS as the model asks for, unless the text brings its own already.
std::vector<Token> as_prompt(const Tokenizer& tokenizer, std::vector<Token> tokens);
std::vector<Token> tokenize_prompt(const Tokenizer& tokenizer, std::string_view text);
// The text of tokens: decode() of each, without the space that encoding put before the first.
std::string detokenize(const Tokenizer& tokenizer, std::span<const Token> tokens, bool show_special = false);

// Whether a sentence or a line may end with this token: its punctuation says so, or it is a control token.
bool ends_sentence(const Tokenizer& tokenizer, Token token);

// Of every token's piece and the special ones: KV is saved by token, and is of no use where those differ.
Hash256 tokenizer_hash(const Tokenizer& tokenizer);

// Bytes that end inside a character are held back until the rest comes.
class Utf8Stream {
 public:
  std::string push(std::string_view bytes);  // what is whole now; broken bytes become U+FFFD
  std::string finish();

 private:
  std::string held_;
};

}  // namespace varve
