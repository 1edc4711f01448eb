#include "learn/data/token_run.h"

#include <algorithm>

namespace varve {

Result<TokenRun> TokenRun::make(Ledger& ledger) {
  TokenRun run;
  run.booked_ = TRY(ledger.reserve(Tag::io, 0));
  return run;
}

// In pieces that end with a line: what a tokenizer makes of a line does not depend on the next.
Status TokenRun::add(const Tokenizer& tokenizer, std::string_view text, int32_t end) {
  constexpr size_t kPiece = 1 << 20;
  std::vector<Token> piece;
  while (!text.empty()) {
    size_t cut = std::min(kPiece, text.size());
    const size_t line = text.substr(0, cut).rfind('\n');
    if (cut < text.size() && line != std::string_view::npos) cut = line + 1;
    piece.clear();
    tokenizer.encode(text.substr(0, cut), true, piece);
    text.remove_prefix(cut);
    if (text.empty() && end >= 0) piece.push_back(end);
    if (tokens_.size() + piece.size() > tokens_.capacity()) {
      const size_t room = std::max(tokens_.size() + piece.size(), tokens_.capacity() * 3 / 2);
      TRY(booked_.resize(int64_t(4 * (room + tokens_.capacity()))).with("keeping the tokens of the text"));
      tokens_.reserve(room);
      TRY(booked_.resize(int64_t(4 * room)));
    }
    tokens_.insert(tokens_.end(), piece.begin(), piece.end());
  }
  return {};
}

}  // namespace varve
