// Byte pair encoding learnt from a text (Sennrich et al. 2016), at the level of bytes: words are cut by one
// of the known pre-tokenizers, and the most frequent pair of neighbours becomes a token, again and again.
// Ties go to the pair that was made of older tokens, so that the same text gives the same vocabulary.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/budget/ledger.h"
#include "core/format/gguf.h"

namespace varve {

struct BpeShape {
  int32_t vocabulary = 8192;    // with the 256 bytes and the control tokens
  std::string words = "qwen2";  // a pre-tokenizer: digits one by one
  // Control tokens, at the end of the vocabulary. The first ends a document, the next two mark turns.
  std::vector<std::string> control = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
};

struct BpeVocabulary {
  std::vector<std::string> tokens, merges;  // as GGUF spells them
  int32_t control = 0;                      // how many at the end are control tokens
  BpeShape shape;
  int32_t end_of_document() const { return int32_t(tokens.size()) - control; }
};

// invalid: a vocabulary smaller than its bytes and control tokens, or too large for the text (says how large
// it may be). over_budget: the distinct words of the text do not fit.
Result<BpeVocabulary> train_bpe(const std::vector<std::string_view>& texts, const BpeShape& shape,
                                Ledger& ledger);

// tokenizer.ggml.* and a ChatML template where there are marks for turns.
void set_tokenizer(const BpeVocabulary& vocabulary, GgufWriter& writer);

}  // namespace varve
