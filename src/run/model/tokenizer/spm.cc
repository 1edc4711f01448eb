// SentencePiece's byte pair encoding (Kudo & Richardson 2018; the "llama" model of GGUF): the characters of a
// text merge while two neighbours together are a token, the best score first. Characters without a token are
// spelled in bytes.
#include "run/model/tokenizer/blank.h"
#include "run/model/tokenizer/merge.h"
#include "run/model/tokenizer/unicode.h"

namespace varve {
namespace {

class Spm final : public VocabularyTokenizer {
 public:
  Spm(Vocabulary tokens, StringTable pieces, SpacePrefix prefix)
      : VocabularyTokenizer(std::move(tokens), std::move(pieces)), prefix_(prefix) {
    byte_tokens_.fill(-1);
    const Vocabulary& all = vocabulary();
    for (Token token = 0; token < size(); ++token) {
      const std::string_view text = all.texts[token];
      if (all.kinds[token] == TokenKind::byte) {
        byte_tokens_[byte_of(text)] = token;
      } else if ((all.spoken(token) || all.kinds[token] == TokenKind::user_defined) && !text.empty()) {
        index_.add(all.texts, token);
        longest_ = std::max(longest_, text.size());
        crosses_words_ = crosses_words_ || next_word(text) < text.size();
      }
    }
  }

  int64_t held_bytes() const override { return VocabularyTokenizer::held_bytes() + index_.held_bytes(); }

 protected:
  void encode_plain(std::string_view text, std::vector<Token>& out) const override {
    const std::string blanks = with_blanks(text, prefix_);
    std::string_view rest = blanks;
    Merger merger;
    while (!rest.empty()) {
      // Where no token reaches from one word into the next, words merge independently.
      const std::string_view part = bounded(crosses_words_ ? rest : rest.substr(0, next_word(rest)));
      encode_part(part, merger, out);
      rest.remove_prefix(part.size());
    }
  }

 private:
  void encode_part(std::string_view part, Merger& merger, std::vector<Token>& out) const {
    const StringTable& texts = vocabulary().texts;
    merger.symbols.clear();
    for (uint32_t at = 0; at < part.size();) {
      const uint32_t bytes = unicode::first_char(part.substr(at)).bytes;
      merger.add(at, bytes, index_.find(texts, part.substr(at, bytes)));
      at += bytes;
    }
    merger.run([&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
      const size_t bytes = left.bytes + right.bytes;
      if (bytes > longest_) return {};
      const Token token = index_.find(texts, part.substr(left.begin, bytes));
      if (token < 0) return {};
      return Merge{vocabulary().scores.empty() ? 0 : -vocabulary().scores[token], token};
    });
    for (int32_t at = 0; at >= 0; at = merger.symbols[at].next) {
      const Symbol& symbol = merger.symbols[at];
      if (symbol.token >= 0) {
        out.push_back(symbol.token);
      } else {
        spell(part.substr(symbol.begin, symbol.bytes), out);
      }
    }
  }

  void spell(std::string_view text, std::vector<Token>& out) const {
    const size_t before = out.size();
    for (const char c : text) {
      const Token token = byte_tokens_[static_cast<unsigned char>(c)];
      if (token < 0) {
        out.resize(before);
        append_unknown(out);
        return;
      }
      out.push_back(token);
    }
  }

  const SpacePrefix prefix_;
  StringIndex index_;
  size_t longest_ = 0;  // bytes of a token
  bool crosses_words_ = false;
  std::array<Token, 256> byte_tokens_;
};

}  // namespace

MadeTokenizer make_spm(Vocabulary vocabulary, SpacePrefix prefix) {
  vocabulary.special.space_prefix = prefix != SpacePrefix::none;
  StringTable pieces = blank_pieces(vocabulary);
  return std::unique_ptr<VocabularyTokenizer>(new Spm(std::move(vocabulary), std::move(pieces), prefix));
}

}  // namespace varve
