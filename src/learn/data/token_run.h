// A text as tokens, in booked memory.
#pragma once

#include <string>
#include <vector>

#include "core/budget/ledger.h"
#include "core/io/env.h"
#include "run/model/tokenizer.h"

namespace varve {

class TokenRun {
 public:
  static Result<TokenRun> make(Ledger& ledger);
  // Marks of control tokens in the text are the tokens; `end`, when it is one, follows the text.
  Status add(const Tokenizer& tokenizer, std::string_view text, int32_t end);
  std::span<const int32_t> tokens() const { return tokens_; }

 private:
  Reservation booked_;
  std::vector<int32_t> tokens_;
};

}  // namespace varve
