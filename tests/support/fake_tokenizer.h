// A small vocabulary for tests of what sits on top of tokens: every byte, some longer pieces, one end token.
#pragma once

#include <string>
#include <vector>

#include "run/model/tokenizer.h"

namespace varve {

class FakeTokenizer : public Tokenizer {
 public:
  // With every single byte unless `bytes` is false; `pieces` follow. The end token is the last.
  explicit FakeTokenizer(std::vector<std::string> pieces, bool bytes = true) {
    for (int b = 0; bytes && b < 256; ++b) pieces_.push_back(std::string(1, char(b)));
    pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
    pieces_.push_back("");
    special_.eos = end();
    special_.end_of_generation = {end()};
  }
  Token end() const { return Token(pieces_.size()) - 1; }

  void encode(std::string_view text, bool, std::vector<Token>& out) const override {
    for (const char c : text) out.push_back(uint8_t(c));
  }
  void decode(Token token, bool, std::string& out) const override { out += pieces_[size_t(token)]; }
  int32_t size() const override { return int32_t(pieces_.size()); }
  const SpecialTokens& special() const override { return special_; }
  std::string_view piece(Token token) const override { return pieces_[size_t(token)]; }
  bool is_control(Token token) const override { return token == end(); }

 private:
  std::vector<std::string> pieces_;
  SpecialTokens special_;
};

}  // namespace varve
