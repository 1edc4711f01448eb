// BPE in a tokenizer.json. The normaliser and the pre-tokenizer say which of its two kinds it is, and become
// passes of the splitter. NFC is not applied: text is NFC already, but for rare exceptions, and for those no
// engine that reads GGUF files applies it either.
#include <algorithm>

#include "run/model/tokenizer/file/json_parts.h"
#include "run/model/tokenizer/file/special.h"
#include "run/model/tokenizer/split/names_table.h"
#include "run/model/tokenizer/unicode.h"

namespace varve::json_parts {
namespace {

constexpr std::string_view kPunctuationPass = R"([\p{P}!-/:-@\[-`{-~])";
constexpr std::string_view kBlankWordPass = R"(\x{2581}[^\x{2581}]*|[^\x{2581}]+)";

bool is_text(const Json& json, std::string_view text) {
  return json.is_string() && json.as_string() == text;
}

// The steps of a Sequence, or the one step, or none.
std::vector<const Json*> steps_of(const Json& json, std::string_view list) {
  std::vector<const Json*> steps;
  if (is_type(json, "Sequence") && json[list].is_array()) {
    for (const Json& step : json[list].as_array()) steps.push_back(&step);
  } else if (!json.is_null()) {
    steps.push_back(&json);
  }
  return steps;
}

Status read_normalizer(const Json& normalizer, BpeOptions& options) {
  for (const Json* step : steps_of(normalizer, "normalizers")) {
    const bool replaces = is_type(*step, "Replace") && is_text((*step)["pattern"]["String"], " ") &&
                          is_text((*step)["content"], unicode::kBlank);
    const bool prepends = is_type(*step, "Prepend") && is_text((*step)["prepend"], unicode::kBlank);
    if (replaces) {
      options.byte_level = false;
    } else if (prepends) {
      options.prefix = SpacePrefix::always;
    } else if (!is_type(*step, "NFC")) {
      return unsupported("normalizer", *step, "NFC, Prepend and Replace of U+2581");
    }
  }
  return {};
}

std::string escaped(std::string_view text) {
  std::string expression;
  for (const char c : text) {
    const bool plain =
        (c & 0x80) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain) expression += '\\';
    expression += c;
  }
  return expression;
}

Status read_split(const Json& step, BpeOptions& options) {
  const bool inverted = flag(step, "invert", false);
  if (!is_text(step["behavior"], inverted ? "Removed" : "Isolated")) {
    return Status(Code::unsupported, "tokenizer.json: a Split that does not isolate its matches");
  }
  const Json& pattern = step["pattern"];
  if (pattern["Regex"].is_string()) return options.splitter.add(pattern["Regex"].as_string());
  if (pattern["String"].is_string()) return options.splitter.add(escaped(pattern["String"].as_string()));
  return wrong("a Split has no pattern");
}

Status read_step(const Json& step, BpeOptions& options) {
  if (is_type(step, "Split")) return read_split(step, options);
  if (is_type(step, "Digits"))
    return options.splitter.add(flag(step, "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)");
  if (is_type(step, "Punctuation")) {
    const bool runs = is_text(step["behavior"], "Contiguous");
    return options.splitter.add(std::string(kPunctuationPass) + (runs ? "+" : ""));
  }
  if (is_type(step, "ByteLevel")) {
    options.byte_level = true;
    if (flag(step, "add_prefix_space", true)) options.prefix = SpacePrefix::if_missing;
    return flag(step, "use_regex", true) ? options.splitter.add(kGpt2Pattern) : Status();
  }
  if (is_type(step, "Metaspace")) {
    options.byte_level = false;
    if (!is_text(step["prepend_scheme"], "never") && flag(step, "add_prefix_space", true)) {
      options.prefix = SpacePrefix::if_missing;
    }
    return flag(step, "split", true) ? options.splitter.add(kBlankWordPass) : Status();
  }
  return unsupported("pre_tokenizer", step, "ByteLevel, Digits, Metaspace, Punctuation, Split");
}

Status read_merges(const Json& merges, BpeOptions& options) {
  if (!merges.is_array()) return wrong("model.merges is missing");
  for (const Json& merge : merges.as_array()) {
    if (merge.is_array() && merge.size() == 2 && merge.as_array()[0].is_string() &&
        merge.as_array()[1].is_string()) {
      options.merges.emplace_back(merge.as_array()[0].as_string(), merge.as_array()[1].as_string());
      continue;
    }
    const size_t space = merge.is_string() ? merge.as_string().find(' ', 1) : std::string::npos;
    if (space == std::string::npos) return wrong("a merge is no pair");
    options.merges.emplace_back(merge.as_string().substr(0, space), merge.as_string().substr(space + 1));
  }
  return {};
}

}  // namespace

MadeTokenizer open_bpe(const Json& root, Vocabulary vocabulary) {
  const Json& model = root["model"];
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model[key].is_null() && !is_text(model[key], "")) {
      return Status(Code::unsupported, std::string("tokenizer.json: a BPE model with ") + key);
    }
  }
  BpeOptions options;
  options.ignore_merges = flag(model, "ignore_merges", false);
  TRY(read_normalizer(root["normalizer"], options));
  const auto steps = steps_of(root["pre_tokenizer"], "pretokenizers");
  for (const Json* step : steps) TRY(read_step(*step, options));
  const auto on_bytes = [](const Json* step) { return is_type(*step, "ByteLevel"); };
  if (options.byte_level && std::none_of(steps.begin(), steps.end(), on_bytes)) {
    return Status(Code::unsupported,
                  "tokenizer.json: a BPE model that works neither on bytes nor with U+2581");
  }
  TRY(read_merges(model["merges"], options));
  for (Token token = 0; !options.byte_level && token < vocabulary.size(); ++token) {
    const bool byte = vocabulary.spoken(token) && byte_of(vocabulary.texts[token]) >= 0;
    if (byte && flag(model, "byte_fallback", false)) vocabulary.kinds[token] = TokenKind::byte;
  }
  vocabulary.special.unknown = id_of(vocabulary, model["unk_token"]);
  find_ends(vocabulary);
  return make_bpe(std::move(vocabulary), std::move(options));
}

}  // namespace varve::json_parts
