#include "serve/session/writer.h"

namespace varve {

Result<std::string> EngineWriter::write(std::string_view prompt, std::string_view schema, int max_tokens) {
  const Json messages = Json::array().push(message("user", prompt));
  Prompt written = TRY(prompter_.write(messages, Json(), Json::object(), clock_.now_ms()));
  Request request;
  request.tokens = std::move(written.tokens);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  request.priority = 1;
  request.scope = scope_;
  if (!schema.empty()) {
    request.grammar = TRY(grammar_from_json_schema(TRY(parse_json(schema)), *engine_.model().tokenizer()));
  }
  Generation made = TRY(generate(engine_, std::move(request), std::move(written.stop), nullptr, interrupt_));
  if (made.finish == Finish::cancelled) return Status(Code::cancelled, "interrupted");
  return std::move(made.text);
}

}  // namespace varve
