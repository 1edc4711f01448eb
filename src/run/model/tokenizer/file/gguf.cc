// The tokenizer in the metadata of a GGUF file, keys tokenizer.ggml.*
#include <algorithm>

#include "core/format/gguf.h"
#include "run/model/tokenizer/file/special.h"
#include "run/model/tokenizer/unicode.h"
#include "run/model/tokenizer/vocabulary.h"

namespace varve {
namespace {

std::string key(std::string_view name) {
  return "tokenizer.ggml." + std::string(name);
}

Status bad(std::string message) {
  return Status(Code::corrupt, "tokenizer: " + std::move(message));
}

Result<std::string> string_or(const Gguf& gguf, std::string_view name, std::string otherwise) {
  return gguf.find(key(name)) ? gguf.string(key(name)) : Result<std::string>(std::move(otherwise));
}

Result<bool> flag_or(const Gguf& gguf, std::string_view name, bool otherwise) {
  return gguf.find(key(name)) ? gguf.boolean(key(name)) : Result<bool>(otherwise);
}

// The first of the names that the file has.
Status read_id(const Gguf& gguf, std::initializer_list<std::string_view> names, std::optional<Token>& id) {
  for (const std::string_view name : names) {
    if (!gguf.find(key(name))) continue;
    const int64_t value = TRY(gguf.integer(key(name)));
    if (value < 0 || value > INT32_MAX) return bad(key(name) + " is no token");
    id = static_cast<Token>(value);
    return {};
  }
  return {};
}

Status read_special(const Gguf& gguf, SpecialTokens& special) {
  TRY(read_id(gguf, {"bos_token_id", "cls_token_id"}, special.bos));
  TRY(read_id(gguf, {"eos_token_id"}, special.eos));
  TRY(read_id(gguf, {"eot_token_id"}, special.eot));
  TRY(read_id(gguf, {"unknown_token_id"}, special.unknown));
  TRY(read_id(gguf, {"seperator_token_id", "separator_token_id"}, special.separator));
  TRY(read_id(gguf, {"padding_token_id"}, special.padding));
  std::optional<Token> eom;
  TRY(read_id(gguf, {"eom_token_id"}, eom));
  if (eom) special.end_of_generation.push_back(*eom);
  return {};
}

Result<Vocabulary> read_vocabulary(const Gguf& gguf) {
  Vocabulary vocabulary;
  size_t bytes = 0;
  for (const std::string& text : TRY(gguf.strings(key("tokens")))) {
    vocabulary.texts.add(text);
    if ((bytes += text.size()) > 1u << 30) return bad("more than 1 GiB of text");
  }
  vocabulary.kinds.resize(size_t(vocabulary.size()), TokenKind::normal);
  if (gguf.find(key("token_type"))) {
    vocabulary.kinds.clear();
    for (const int64_t type : TRY(gguf.integers(key("token_type")))) {
      if (type < 0 || type > 6) return bad("token type " + std::to_string(type));
      vocabulary.kinds.push_back(type == 0 ? TokenKind::unused : static_cast<TokenKind>(type));
    }
  }
  if (gguf.find(key("scores"))) {
    for (const double score : TRY(gguf.numbers(key("scores"))))
      vocabulary.scores.push_back(static_cast<float>(score));
  }
  TRY(read_special(gguf, vocabulary.special));
  const auto unknown = std::find(vocabulary.kinds.begin(), vocabulary.kinds.end(), TokenKind::unknown);
  if (!vocabulary.special.unknown && unknown != vocabulary.kinds.end()) {
    vocabulary.special.unknown = static_cast<Token>(unknown - vocabulary.kinds.begin());
  }
  TRY(check_vocabulary(vocabulary));
  return vocabulary;
}

// Phi-3 was trained with the white space after its marks removed; its files cannot say so.
void strip_after_marks(const Gguf& gguf, Vocabulary& vocabulary) {
  const Result<std::string> given = gguf.string("general.name");
  std::string name = given.ok() ? *given : "";
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  if (name.find("phi-3") == std::string::npos && name.find("phi3") == std::string::npos) return;
  vocabulary.strips_right.resize(vocabulary.kinds.size());
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const std::string_view text = vocabulary.texts[token];
    const bool keeps = text == "<unk>" || text == "<s>" || text == "<|endoftext|>";
    vocabulary.strips_right[token] =
        !vocabulary.spoken(token) && vocabulary.kinds[token] != TokenKind::byte && !keeps;
  }
}

Status read_flags(const Gguf& gguf, bool add_bos, bool add_eos, SpecialTokens& special) {
  special.add_bos = TRY(flag_or(gguf, "add_bos_token", add_bos)) && special.bos;
  special.add_eos = TRY(flag_or(gguf, "add_eos_token", add_eos)) && special.eos;
  return {};
}

MadeTokenizer open_bpe(const Gguf& gguf, Vocabulary vocabulary, std::string_view model) {
  const std::string fallback = model == "gemma4" ? "gemma4" : "default";
  const std::string name = TRY(string_or(gguf, "pre", fallback));
  NamedPreTokenizer named = TRY(named_pre_tokenizer(model == "gemma4" ? fallback : name));
  BpeOptions options{.splitter = std::move(named.splitter),
                     .ignore_merges = named.ignore_merges,
                     .byte_level = named.byte_level};
  for (const std::string& merge : TRY(gguf.strings(key("merges")))) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos || space + 1 == merge.size())
      return bad("a merge is no pair: \"" + merge + "\"");
    options.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  TRY(read_flags(gguf, named.add_bos, false, vocabulary.special));
  find_ends(vocabulary);
  return make_bpe(std::move(vocabulary), std::move(options));
}

MadeTokenizer open_spm(const Gguf& gguf, Vocabulary vocabulary) {
  SpecialTokens& special = vocabulary.special;
  if (!gguf.find(key("scores"))) return bad("a vocabulary of this model needs tokenizer.ggml.scores");
  const auto otherwise = [&](std::optional<Token>& id,
                             Token usual) {  // LLaMA's own, where the file is silent
    if (!id && usual < vocabulary.size()) id = usual;
  };
  otherwise(special.unknown, 0);
  otherwise(special.bos, 1);
  otherwise(special.eos, 2);
  TRY(read_flags(gguf, true, false, special));
  const bool prefix = TRY(flag_or(gguf, "add_space_prefix", true));
  strip_after_marks(gguf, vocabulary);
  find_ends(vocabulary);
  return make_spm(std::move(vocabulary), prefix ? SpacePrefix::always : SpacePrefix::none);
}

MadeTokenizer open_unigram(const Gguf& gguf, Vocabulary vocabulary) {
  if (!gguf.find(key("scores"))) return bad("a vocabulary of this model needs tokenizer.ggml.scores");
  UnigramOptions options;
  options.space_prefix = TRY(flag_or(gguf, "add_space_prefix", false));
  options.merge_spaces = TRY(flag_or(gguf, "remove_extra_whitespaces", false));
  if (gguf.find(key("precompiled_charsmap"))) {
    for (const int64_t byte : TRY(gguf.integers(key("precompiled_charsmap")))) {
      options.charsmap += static_cast<char>(byte);
    }
  }
  TRY(read_flags(gguf, false, true, vocabulary.special));
  find_ends(vocabulary);
  return make_unigram(std::move(vocabulary), std::move(options));
}

std::optional<Token> spelled(const Vocabulary& vocabulary, std::string_view text) {
  for (Token token = 0; token < vocabulary.size(); ++token) {
    if (vocabulary.texts[token] == text) return token;
  }
  return {};
}

MadeTokenizer open_wordpiece(const Gguf& gguf, Vocabulary vocabulary) {
  SpecialTokens& special = vocabulary.special;
  if (!special.bos) special.bos = spelled(vocabulary, "[CLS]");
  if (!special.separator) special.separator = spelled(vocabulary, "[SEP]");
  if (!special.unknown) special.unknown = spelled(vocabulary, "[UNK]");
  if (!special.eos) special.eos = special.separator;  // it is what ends a text
  TRY(read_flags(gguf, true, true, special));
  WordPieceOptions options;
  // GGUF files mark the pieces that begin a word, not those inside; a few keep the "##".
  for (Token token = 0; token < vocabulary.size() && options.first_prefix.empty(); ++token) {
    if (vocabulary.texts[token].starts_with(unicode::kBlank)) options.first_prefix = unicode::kBlank;
  }
  if (!options.first_prefix.empty()) options.next_prefix.clear();
  options.lower_case = TRY(flag_or(gguf, "normalizer.lowercase", true));
  options.strip_accents = TRY(flag_or(gguf, "normalizer.strip_accents", options.lower_case));
  return make_wordpiece(std::move(vocabulary), std::move(options));
}

MadeTokenizer read(const Gguf& gguf) {
  const std::string model = TRY(string_or(gguf, "model", "none"));
  if (model == "none" || model == "no_vocab" || !gguf.find(key("tokens"))) {
    return Status(
        Code::invalid,
        "the model file holds no tokenizer; convert the model again with its tokenizer files beside it, or "
        "take a GGUF file that has tokenizer.ggml.tokens");
  }
  Vocabulary vocabulary = TRY(read_vocabulary(gguf));
  if (model == "gpt2" || model == "gemma4") return open_bpe(gguf, std::move(vocabulary), model);
  if (model == "llama") return open_spm(gguf, std::move(vocabulary));
  if (model == "t5") return open_unigram(gguf, std::move(vocabulary));
  if (model == "bert") return open_wordpiece(gguf, std::move(vocabulary));
  return Status(Code::unsupported, "tokenizer: unknown model \"" + model +
                                       "\"; known: gpt2 (byte-level BPE), llama (SentencePiece), "
                                       "t5 (unigram), bert (WordPiece), gemma4 (BPE on characters)");
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> open_tokenizer(const Gguf& gguf, Ledger& ledger) {
  constexpr int64_t kWhileBuilding = 8;  // times what the file takes for it
  Reservation booked = TRY(ledger.reserve(Tag::weights, kWhileBuilding * gguf.head_bytes()));
  return keep_booked(read(gguf), std::move(booked));
}

}  // namespace varve
