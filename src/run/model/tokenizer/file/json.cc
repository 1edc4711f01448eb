// tokenizer.json of Hugging Face. Only what is understood is accepted: an unknown normaliser or splitter is
// an error and not a guess.
#include <algorithm>

#include "core/format/json.h"
#include "run/model/tokenizer/file/json_parts.h"
#include "run/model/tokenizer/file/special.h"
#include "run/model/tokenizer/vocabulary.h"

namespace varve {

using namespace json_parts;

namespace {

constexpr JsonLimits kLimits{.max_bytes = 256u << 20, .max_depth = 32, .max_items = 8'000'000};

// Tokens come as pairs of text and id, in any order, and the ids need no order or be without gaps.
class Builder {
 public:
  Status add(const std::string& text, const Json& id, TokenKind kind) {
    constexpr int64_t kMost = 1 << 24;
    if (!id.is_int() || id.as_int() < 0 || id.as_int() >= kMost)
      return wrong("token \"" + text + "\" has no proper id");
    const auto at = static_cast<size_t>(id.as_int());
    if (at >= tokens_.size()) tokens_.resize(at + 1);
    if (tokens_[at].kind != TokenKind::unused && tokens_[at].text != text) {
      return wrong("id " + std::to_string(at) + " is given twice");
    }
    tokens_[at].text = text;
    tokens_[at].kind = kind;
    return {};
  }

  Status add_special(const Json& token) {
    if (!token["content"].is_string()) return wrong("an added token has no content");
    if (flag(token, "single_word", false))
      return Status(Code::unsupported, "tokenizer.json: single_word tokens");
    const bool special = flag(token, "special", false);
    TRY(add(token["content"].as_string(), token["id"],
            special ? TokenKind::control : TokenKind::user_defined));
    Entry& entry = tokens_[static_cast<size_t>(token["id"].as_int())];
    entry.left = flag(token, "lstrip", false);
    entry.right = flag(token, "rstrip", false);
    return {};
  }

  // Ids that nothing names become unused tokens without text.
  Vocabulary build() const {
    Vocabulary vocabulary;
    for (const Entry& entry : tokens_) {
      vocabulary.texts.add(entry.text);
      vocabulary.kinds.push_back(entry.kind);
      vocabulary.strips_left.push_back(entry.left);
      vocabulary.strips_right.push_back(entry.right);
    }
    return vocabulary;
  }

 private:
  struct Entry {
    std::string text;
    TokenKind kind = TokenKind::unused;
    bool left = false, right = false;
  };
  std::vector<Entry> tokens_;
};

Result<Vocabulary> read_vocabulary(const Json& root) {
  const Json& listed = root["model"]["vocab"];
  if (!listed.is_object()) return wrong("model.vocab is missing");
  Builder builder;
  for (const auto& [text, id] : listed.as_object()) TRY(builder.add(text, id, TokenKind::normal));
  if (root["added_tokens"].is_array()) {
    for (const Json& token : root["added_tokens"].as_array()) TRY(builder.add_special(token));
  }
  return builder.build();
}

// [CLS] text [SEP]: the last special token before the text and the first after it.
void read_template(const Json& processor, SpecialTokens& special, const Vocabulary& vocabulary) {
  if (is_type(processor, "Sequence") && processor["processors"].is_array()) {
    for (const Json& part : processor["processors"].as_array()) {
      if (is_type(part, "TemplateProcessing")) read_template(part, special, vocabulary);
    }
  }
  if (!is_type(processor, "TemplateProcessing") || !processor["single"].is_array()) return;
  bool after = false;
  for (const Json& part : processor["single"].as_array()) {
    if (part.find("Sequence")) after = true;
    const auto id = id_of(vocabulary, part["SpecialToken"]["id"]);
    if (!id || (after && special.add_eos)) continue;
    (after ? special.eos : special.bos) = id;
    (after ? special.add_eos : special.add_bos) = true;
  }
}

MadeTokenizer open_wordpiece(const Json& root, Vocabulary vocabulary) {
  const Json& model = root["model"];
  const Json& normalizer = root["normalizer"];
  if (!is_type(normalizer, "BertNormalizer")) return unsupported("normalizer", normalizer, "BertNormalizer");
  if (!is_type(root["pre_tokenizer"], "BertPreTokenizer")) {
    return unsupported("pre_tokenizer", root["pre_tokenizer"], "BertPreTokenizer");
  }
  WordPieceOptions options;
  options.lower_case = flag(normalizer, "lowercase", true);
  options.strip_accents = flag(normalizer, "strip_accents", options.lower_case);
  options.split_chinese = flag(normalizer, "handle_chinese_chars", true);
  if (model["continuing_subword_prefix"].is_string()) {
    options.next_prefix = model["continuing_subword_prefix"].as_string();
  }
  if (model["max_input_chars_per_word"].is_int()) {
    options.longest_word =
        static_cast<int32_t>(std::clamp<int64_t>(model["max_input_chars_per_word"].as_int(), 1, 1000));
  }
  vocabulary.special.unknown = id_of(vocabulary, model["unk_token"]);
  vocabulary.special.separator = id_of(vocabulary, Json("[SEP]"));
  vocabulary.special.padding = id_of(vocabulary, Json("[PAD]"));
  return make_wordpiece(std::move(vocabulary), std::move(options));
}

MadeTokenizer read(std::string_view tokenizer_json) {
  const Json root = TRY(parse_json(tokenizer_json, kLimits).with("reading tokenizer.json"));
  Vocabulary vocabulary = TRY(read_vocabulary(root));
  read_template(root["post_processor"], vocabulary.special, vocabulary);
  TRY(check_vocabulary(vocabulary));
  const Json& model = root["model"];
  if (is_type(model, "WordPiece")) return open_wordpiece(root, std::move(vocabulary));
  if (is_type(model, "BPE") || (!model.find("type") && model.find("merges")))
    return open_bpe(root, std::move(vocabulary));
  return unsupported("model", model, "BPE, WordPiece");
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> open_tokenizer_json(std::string_view tokenizer_json, Ledger& ledger) {
  constexpr int64_t kWhileBuilding = 16;  // times the file, most of it for the parsed JSON
  Reservation booked = TRY(ledger.reserve(Tag::weights, kWhileBuilding * int64_t(tokenizer_json.size())));
  return keep_booked(read(tokenizer_json), std::move(booked));
}

}  // namespace varve
