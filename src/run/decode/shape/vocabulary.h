// Vocabulary: the tokens in the order of their bytes, so that tokens with a common beginning are tried
// together.
#pragma once

#include <cstdint>
#include <vector>

#include "run/decode/shape/walker.h"
#include "run/model/tokenizer.h"

namespace varve::shape {

class Vocabulary {
 public:
  explicit Vocabulary(const Tokenizer& tokenizer);
  // One bit a token: whether its bytes can follow at `at`. Tokens without bytes cannot.
  std::vector<uint64_t> allowed(Walker& walker, Walker::Place at) const;
  int64_t held_bytes() const {
    return int64_t(order_.capacity() * sizeof(Token) + common_.capacity() * sizeof(uint16_t));
  }

 private:
  const Tokenizer& tokenizer_;
  std::vector<Token> order_;
  std::vector<uint16_t> common_;  // bytes in common with the token before
};

}  // namespace varve::shape
