// The unigram model (Kudo 2018; the "t5" model of GGUF): of all ways to spell a text in tokens the most
// probable one, found by dynamic programming from the left (Viterbi).
#include <algorithm>
#include <limits>

#include "run/model/tokenizer/blank.h"
#include "run/model/tokenizer/charsmap.h"
#include "run/model/tokenizer/unicode.h"

namespace varve {
namespace {

constexpr size_t kLongestToken = 512;  // bytes; keeps the search linear
constexpr double kUnknownPenalty = 10;

class Unigram final : public VocabularyTokenizer {
 public:
  Unigram(Vocabulary tokens, StringTable pieces, Charsmap charsmap, const UnigramOptions& options)
      : VocabularyTokenizer(std::move(tokens), std::move(pieces)),
        charsmap_(std::move(charsmap)),
        space_prefix_(options.space_prefix),
        merge_spaces_(options.merge_spaces) {
    const Vocabulary& all = vocabulary();
    std::vector<Trie::Entry> entries;
    double least = 0;
    for (Token token = 0; token < size(); ++token) {
      const std::string_view text = all.texts[token];
      if (all.kinds[token] == TokenKind::normal) least = std::min<double>(least, all.scores[token]);
      const bool found = all.spoken(token) || all.kinds[token] == TokenKind::user_defined;
      if (!found || text.empty()) continue;
      entries.push_back({text, token});
      crosses_words_ = crosses_words_ || next_word(text) < text.size();
    }
    unknown_score_ = least - kUnknownPenalty;
    trie_ = Trie(std::move(entries));
  }

  int64_t held_bytes() const override {
    return VocabularyTokenizer::held_bytes() + trie_.held_bytes() + charsmap_.held_bytes();
  }

 protected:
  void encode_plain(std::string_view text, std::vector<Token>& out) const override {
    const std::string normal = spaced(charsmap_.normalize(text));
    std::string_view rest = normal;
    std::vector<Step> best;
    bool unknown = false;  // the token before is unknown: a run of them counts once
    while (!rest.empty()) {
      // Where no token reaches from one word into the next, words are spelled independently.
      const std::string_view part = bounded(crosses_words_ ? rest : rest.substr(0, next_word(rest)));
      search(part, best);
      append_path(best, unknown, out);
      rest.remove_prefix(part.size());
    }
  }

 private:
  struct Step {  // the best way to a place in the text
    double score = -std::numeric_limits<double>::infinity();
    uint32_t from = 0;
    Token token = -1;  // -1: unknown
  };

  // Spaces become U+2581; between words there is one where spaces merge, and none at the end.
  std::string spaced(std::string_view text) const {
    std::string out;
    bool inside = false, begun = false;
    for (const char c : text) {
      if (c != ' ' && !inside && (merge_spaces_ || (space_prefix_ && !begun))) {
        out += unicode::kBlank;
        begun = true;
      }
      inside = c != ' ';
      if (inside) {
        out += c;
      } else if (!merge_spaces_) {
        out += unicode::kBlank;
      }
    }
    return out;
  }

  void search(std::string_view part, std::vector<Step>& best) const {
    best.assign(part.size() + 1, {});
    best[0].score = 0;
    for (size_t at = 0; at < part.size();) {
      const uint32_t character = unicode::first_char(part.substr(at)).bytes;
      const auto offer = [&](size_t bytes, Token token, double score) {
        Step& step = best[at + bytes];
        if (best[at].score + score > step.score)
          step = {best[at].score + score, static_cast<uint32_t>(at), token};
      };
      bool whole = false;  // the character alone is a token
      int32_t node = Trie::kRoot;
      for (size_t i = at; i < part.size() && (node = trie_.child(node, part[i])) >= 0; ++i) {
        const Token token = trie_.value(node);
        if (token < 0) continue;
        whole = whole || i + 1 - at == character;
        const bool given = vocabulary().kinds[token] == TokenKind::user_defined;
        offer(i + 1 - at, token, given ? 0 : vocabulary().scores[token]);
      }
      if (!whole) offer(character, -1, unknown_score_);
      at += character;
    }
  }

  void append_path(const std::vector<Step>& best, bool& unknown, std::vector<Token>& out) const {
    std::vector<Token> path;
    for (size_t at = best.size() - 1; at > 0; at = best[at].from) path.push_back(best[at].token);
    std::reverse(path.begin(), path.end());
    for (const Token token : path) {
      if (token >= 0) {
        out.push_back(token);
      } else if (!unknown) {
        append_unknown(out);
      }
      unknown = token < 0;
    }
  }

  const Charsmap charsmap_;
  const bool space_prefix_, merge_spaces_;
  bool crosses_words_ = false;
  double unknown_score_ = 0;
  Trie trie_;
};

}  // namespace

MadeTokenizer make_unigram(Vocabulary vocabulary, UnigramOptions options) {
  for (Token token = 0; token < vocabulary.size(); ++token) {
    if (vocabulary.texts[token].size() > kLongestToken)
      return Status(Code::corrupt, "tokenizer: a token of more than 512 bytes");
  }
  Charsmap charsmap;
  if (!options.charsmap.empty()) charsmap = TRY(Charsmap::parse(options.charsmap));
  vocabulary.special.space_prefix = options.space_prefix || options.merge_spaces;
  StringTable pieces = blank_pieces(vocabulary);
  return std::unique_ptr<VocabularyTokenizer>(
      new Unigram(std::move(vocabulary), std::move(pieces), std::move(charsmap), options));
}

}  // namespace varve
