#include "run/model/tokenizer/file/json_parts.h"

namespace varve::json_parts {

Status wrong(std::string message) {
  return Status(Code::invalid, "tokenizer.json: " + std::move(message));
}

Status unsupported(std::string_view what, const Json& json, std::string_view known) {
  const Json& type = json["type"];
  return Status(Code::unsupported,
                "tokenizer.json: unknown " + std::string(what) + " " +
                    (type.is_string() ? "\"" + type.as_string() + "\"" : std::string("without a type")) +
                    "; known: " + std::string(known));
}

bool is_type(const Json& json, std::string_view type) {
  return json["type"].is_string() && json["type"].as_string() == type;
}

bool flag(const Json& json, std::string_view key, bool otherwise) {
  return json[key].is_bool() ? json[key].as_bool() : otherwise;
}

std::optional<Token> id_of(const Vocabulary& vocabulary, const Json& text) {
  if (!text.is_string()) return {};
  for (Token token = 0; token < vocabulary.size(); ++token) {
    if (vocabulary.texts[token] == text.as_string()) return token;
  }
  return {};
}

}  // namespace varve::json_parts
