// POST /v1/completions: raw text on, without chat template and without memory.
#include "serve/home/fields.h"
#include "serve/http/call.h"

namespace varve {
namespace {

constexpr size_t kMostPrompts = 64;

struct Completion {
  Call call;
  std::vector<std::vector<Token>> prompts;
  std::vector<std::string> texts;  // of the prompts, for echo
  bool echo = false;
};

Result<std::vector<Token>> token_list(const Json& list, int32_t vocabulary) {
  std::vector<Token> tokens;
  for (const Json& item : list.as_array()) {
    if (!item.is_int() || item.as_int() < 0 || item.as_int() >= vocabulary) {
      return Status(Code::invalid,
                    "'prompt' as tokens must hold ids from 0 to " + std::to_string(vocabulary - 1));
    }
    tokens.push_back(Token(item.as_int()));
  }
  return tokens;
}

// A string, strings, one list of token ids, or several.
Status read_prompts(const Json& prompt, const Model& model, Completion& to) {
  const auto add_text = [&](const std::string& text) {
    to.texts.push_back(text);
    to.prompts.push_back(tokenize_prompt(*model.tokenizer(), text));
  };
  const auto add_tokens = [&](const Json& list) -> Status {
    to.prompts.push_back(TRY(token_list(list, model.shape().vocabulary)));
    std::string text;
    for (Token token : to.prompts.back()) model.tokenizer()->decode(token, false, text);
    to.texts.push_back(std::move(text));
    return {};
  };
  if (prompt.is_string()) {
    add_text(prompt.as_string());
  } else if (prompt.is_array() && prompt.size() > 0 && prompt.as_array()[0].is_number()) {
    TRY(add_tokens(prompt));
  } else if (prompt.is_array() && prompt.size() > 0 && prompt.size() <= kMostPrompts) {
    for (const Json& one : prompt.as_array()) {
      if (one.is_string()) {
        add_text(one.as_string());
      } else if (one.is_array()) {
        TRY(add_tokens(one));
      } else {
        return Status(Code::invalid, "'prompt' must hold strings or lists of token ids");
      }
    }
  } else {
    return Status(Code::invalid, "'prompt' must be a string, token ids, or at most 64 of either");
  }
  return {};
}

Result<Completion> read_completion(Api& api, const Json& body, const Principal& who) {
  Completion to;
  to.call = TRY(read_call(api, body, who, false));
  if (to.call.max_tokens == 0) to.call.max_tokens = 16;  // the protocol's default
  TRY(Fields(body).boolean("echo", to.echo).done());
  if (!body["suffix"].is_null()) return Status(Code::unsupported, "'suffix' is not supported: leave it out");
  TRY(read_prompts(body["prompt"], TRY(engine_with_tokenizer(api))->model(), to));
  return to;
}

Request request_of(const Completion& from, size_t prompt, int32_t choice, const Principal& who) {
  Request request{.tokens = from.prompts[prompt],
                  .max_tokens = from.call.max_tokens,
                  .sampling = from.call.sampling,
                  .grammar = from.call.grammar,
                  .adapter = from.call.adapter,
                  .scope = who.whole(),
                  .subtasks = from.call.subtasks};
  request.sampling.seed += uint64_t(choice);
  return request;
}

Json logprobs_json(const Tokenizer& tokenizer, std::span<const Sampled> tokens, size_t& offset) {
  Json texts = Json::array(), logprobs = Json::array(), best = Json::array(), offsets = Json::array();
  for (const Sampled& one : tokens) {
    const Json shown = token_json(tokenizer, one.token, one.logprob);
    Json top = Json::object();
    for (const auto& [token, logprob] : one.best) {
      const Json other = token_json(tokenizer, token, logprob);
      top.set(other["token"].as_string(), other["logprob"]);
    }
    texts.push(shown["token"]), logprobs.push(shown["logprob"]), best.push(std::move(top));
    offsets.push(int64_t(offset));
    offset += shown["token"].as_string().size();
  }
  return Json::object()
      .set("tokens", std::move(texts))
      .set("token_logprobs", std::move(logprobs))
      .set("top_logprobs", std::move(best))
      .set("text_offset", std::move(offsets));
}

Json head(Api& api, const Completion& from, std::string_view id) {
  return Json::object()
      .set("id", id)
      .set("object", "text_completion")
      .set("created", api.home.clock().now_ms() / 1000)
      .set("model", from.call.model);
}

// What all choices have in common while they are made.
struct Making {
  Completion from;
  Principal who;
  Usage usage;
  std::vector<size_t> offsets;  // of each choice's next token in its text
};

// Choices are numbered prompt by prompt: choice = prompt * n + i.
Status make_all(Api& api, Making& making, const Emit& emit) {
  for (size_t prompt = 0; prompt < making.from.prompts.size(); ++prompt) {
    making.usage.prompt_tokens += int32_t(making.from.prompts[prompt].size());
    for (int32_t i = 0; i < making.from.call.choices; ++i) {
      const int32_t choice = int32_t(prompt) * making.from.call.choices + i;
      if (making.from.echo && !emit({.choice = choice, .text = making.from.texts[prompt]})) return {};
      Interrupt interrupt;
      const auto on_piece = [&](const Piece& piece) {
        return emit({.choice = choice,
                     .text = std::string(piece.text),
                     .tokens = {piece.tokens.begin(), piece.tokens.end()}});
      };
      const Generation made = TRY(generate(*api.home.engine(), request_of(making.from, prompt, i, making.who),
                                           making.from.call.stop, on_piece, interrupt));
      making.usage.generated_tokens += made.usage.generated_tokens;
      making.usage.reused_tokens += made.usage.reused_tokens;
      making.usage.subtasks += made.usage.subtasks;
      making.usage.pruned_tokens += made.usage.pruned_tokens;
      making.usage.reread_tokens += made.usage.reread_tokens;
      if (!emit({.choice = choice, .finish = std::string(finish_reason(made.finish))})) return {};
    }
  }
  return {};
}

Json choice_json(Api& api, Making& making, const Chunk& chunk) {
  const bool wanted = making.from.call.sampling.logprobs >= 0 && !chunk.tokens.empty();
  Json logprobs;
  if (wanted) {
    const Tokenizer& tokenizer = *api.home.engine()->model().tokenizer();
    logprobs = logprobs_json(tokenizer, chunk.tokens, making.offsets[size_t(chunk.choice)]);
  }
  return Json::object()
      .set("index", int64_t(chunk.choice))
      .set("text", chunk.text)
      .set("logprobs", std::move(logprobs))
      .set("finish_reason", chunk.finish ? Json(*chunk.finish) : Json());
}

Result<HttpReply> whole(Api& api, Making& making) {
  std::vector<Chunk> choices(making.offsets.size());
  TRY(make_all(api, making, [&](Chunk chunk) {
    Chunk& to = choices[size_t(chunk.choice)];
    to.choice = chunk.choice;
    to.text += chunk.text;
    to.tokens.insert(to.tokens.end(), chunk.tokens.begin(), chunk.tokens.end());
    if (chunk.finish) to.finish = chunk.finish;
    return true;
  }));
  Json list = Json::array();
  for (const Chunk& choice : choices) list.push(choice_json(api, making, choice));
  Json body = head(api, making.from, response_id("cmpl-"));
  if (making.usage.subtasks > 0)
    body.set("varve", Json::object().set("subtasks", subtasks_json(making.usage)));
  return json_reply(body.set("choices", std::move(list)).set("usage", usage_json(making.usage)));
}

}  // namespace

Result<HttpReply> post_completions(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  auto making = std::make_shared<Making>();
  making->from = TRY(read_completion(api, body, request.who));
  making->who = request.who;
  making->offsets.resize(making->from.prompts.size() * size_t(making->from.call.choices));
  if (!making->from.call.stream) return whole(api, *making);
  const std::string id = response_id("cmpl-");
  StreamShape shape;
  shape.format = [&api, making, id](const Chunk& chunk) {
    return head(api, making->from, id).set("choices", Json::array().push(choice_json(api, *making, chunk)));
  };
  shape.last = [&api, making, id]() -> std::optional<Json> {
    if (!making->from.call.include_usage) return std::nullopt;
    return head(api, making->from, id).set("choices", Json::array()).set("usage", usage_json(making->usage));
  };
  return stream_reply([&api, making](const Emit& emit) { return make_all(api, *making, emit); },
                      std::move(shape));
}

}  // namespace varve
