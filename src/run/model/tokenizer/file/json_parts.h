// The parts of a tokenizer.json that more than one model has.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/format/json.h"
#include "run/model/tokenizer/vocabulary.h"

namespace varve::json_parts {

Status wrong(std::string message);
// "tokenizer.json: unknown <what> "<its type>"; known: ..."
Status unsupported(std::string_view what, const Json& json, std::string_view known);

bool is_type(const Json& json, std::string_view type);
bool flag(const Json& json, std::string_view key, bool otherwise);
std::optional<Token> id_of(const Vocabulary& vocabulary, const Json& text);  // none when it is no string

// model BPE, with bytes or with U+2581
MadeTokenizer open_bpe(const Json& root, Vocabulary vocabulary);

}  // namespace varve::json_parts
