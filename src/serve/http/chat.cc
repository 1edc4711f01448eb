// POST /v1/chat/completions: OpenAI's chat protocol, with memory. The newest user message is recalled for
// and, with the answer, stored as evidence in the caller's own space; {"varve": {"remember": false}} turns
// both off.
#include <algorithm>

#include "core/base/hash.h"
#include "serve/home/fields.h"
#include "serve/http/call.h"
#include "serve/session/answer/tool_calls.h"

namespace varve {
namespace {

constexpr size_t kMaxMessages = 10000;

struct Chat {
  Call call;
  TurnOptions options;
  std::string user, session;
  std::vector<std::string> offered;  // tools that may be called
};

// Content is a string, or parts of which only text can be read.
Result<std::string> content_of(const Json& message) {
  const Json& content = message["content"];
  if (content.is_string()) return content.as_string();
  if (content.is_null()) return std::string();
  if (!content.is_array())
    return Status(Code::invalid, "a message's 'content' must be a string or a list of parts");
  std::string text;
  for (const Json& part : content.as_array()) {
    if (!part["text"].is_string()) {
      return Status(Code::unsupported, "only parts of type 'text' can be read, no images, sound or files");
    }
    text += part["text"].as_string();
  }
  return text;
}

Status read_messages(const Json& body, Chat& chat) {
  const Json& messages = body["messages"];
  if (!messages.is_array() || messages.size() == 0 || messages.size() > kMaxMessages) {
    return Status(Code::invalid, "'messages' must be a list of 1 to 10000 messages");
  }
  Json history = Json::array();
  for (const Json& message : messages.as_array()) {
    if (!message.is_object() || !message["role"].is_string()) {
      return Status(Code::invalid, "each message needs a 'role' and a 'content'");
    }
    Json copy = message;
    copy.set("content", TRY(content_of(message)));
    history.push(std::move(copy));
  }
  Json::Array& all = history.as_array();
  const auto is_user = [](const Json& one) { return one["role"] == Json("user"); };
  const auto last = std::find_if(all.rbegin(), all.rend(), is_user);
  if (last == all.rend()) return Status(Code::invalid, "among 'messages' there must be one of the user's");
  const auto after = last.base();
  if (after != all.end()) chat.options.after = Json::Array(after, all.end());
  chat.user = (*last)["content"].as_string();
  all.erase(after - 1, all.end());
  chat.options.history = std::move(history);
  return {};
}

// A client without a session of its own sends the conversation whole: what it began with names it.
std::string session_of(const Json& history, const std::string& user) {
  std::string begin = user;
  for (const Json& message : history.as_array()) {
    if (message["role"].as_string() != "user") continue;
    begin = message["content"].as_string();
    break;
  }
  return "api-" + sha256(begin).hex().substr(0, 16);
}

// {"varve": {"session", "continue": true}}: the stored conversation is the history, the request brings the
// new words.
Status continue_session(Chat& chat) {
  for (const Json& message : chat.options.history.as_array()) {
    if (message["role"].as_string() != "system") {
      return Status(Code::invalid,
                    "with 'continue' the session's own transcript is the history: send the new message only");
    }
    chat.options.system += message["content"].as_string();
  }
  if (chat.options.after.size() > 0)
    return Status(Code::invalid, "with 'continue' the last message must be the user's");
  if (chat.session.empty())
    return Status(Code::invalid, "'continue' needs the name of the 'session' to go on with");
  chat.options.history = Json();
  return {};
}

Result<Chat> read_chat(Api& api, const Json& body, const Principal& who) {
  Chat chat;
  chat.call = TRY(read_call(api, body, who, true));
  TRY(read_messages(body, chat));
  const Json own = body["varve"].is_object() ? body["varve"] : Json::object();
  bool go_on = false;
  std::string activation;
  chat.options.recall = chat.options.remember = api.remember;
  TRY(Fields(own)
          .boolean("remember", chat.options.remember)
          .boolean("recall", chat.options.recall)
          .boolean("excerpt", chat.options.excerpt)
          .integer("recall_tokens", chat.options.recall_tokens, 0, 1 << 20)
          .text("session", chat.session, 128)
          .text("activation", activation, 32)
          .boolean("continue", go_on)
          .done());
  if (!activation.empty()) chat.options.activation = TRY(CubeId::parse(activation));
  if (go_on) TRY(continue_session(chat));
  if (chat.session.empty()) chat.session = session_of(chat.options.history, chat.user);
  if (api.home.engine() != nullptr) TRY(engine_with_tokenizer(api));
  chat.options.sampling = chat.call.sampling;
  if (chat.call.max_tokens > 0) chat.options.max_tokens = chat.call.max_tokens;
  chat.options.stop = chat.call.stop;
  chat.options.grammar = chat.call.grammar;
  chat.options.adapter = chat.call.adapter;
  chat.options.subtasks = chat.call.subtasks;
  chat.options.tools = body["tools"];
  if (body["tool_choice"] != Json("none")) chat.offered = tool_names(body["tools"]);
  if (body["chat_template_kwargs"].is_object()) chat.options.extra = body["chat_template_kwargs"];
  return chat;
}

Json logprobs_json(const Tokenizer& tokenizer, std::span<const Sampled> tokens) {
  Json content = Json::array();
  for (const Sampled& one : tokens) {
    Json best = Json::array();
    for (const auto& [token, logprob] : one.best) best.push(token_json(tokenizer, token, logprob));
    content.push(token_json(tokenizer, one.token, one.logprob).set("top_logprobs", std::move(best)));
  }
  return Json::object().set("content", std::move(content));
}

// Which part of the choices the sampled tokens are shown for: all, or none unless asked for.
Json shown_logprobs(Api& api, const Chat& chat, std::span<const Sampled> tokens) {
  if (chat.call.sampling.logprobs < 0 || api.home.engine() == nullptr) return {};
  return logprobs_json(*api.home.engine()->model().tokenizer(), tokens);
}

TurnOptions options_of(const Chat& chat, int32_t choice) {
  TurnOptions options = chat.options;
  options.sampling.seed += uint64_t(choice);
  if (choice > 0) options.remember = false;  // one question is remembered once
  return options;
}

Json head(const Chat& chat, std::string_view id, std::string_view object, Api& api) {
  return Json::object()
      .set("id", id)
      .set("object", object)
      .set("created", api.home.clock().now_ms() / 1000)
      .set("model", chat.call.model);
}

Json calls_json(const std::vector<ToolCall>& calls, bool streamed) {
  Json all = Json::array();
  for (const ToolCall& call : calls) {
    Json one = Json::object();
    if (streamed) one.set("index", int64_t(all.size()));
    Json function = Json::object().set("name", call.name).set("arguments", call.arguments.dump());
    one.set("id", response_id("call_")).set("type", "function").set("function", std::move(function));
    all.push(std::move(one));
  }
  return all;
}

void add_usage(Usage& sum, const Usage& one) {
  sum.prompt_tokens = one.prompt_tokens;
  sum.reused_tokens = std::max(sum.reused_tokens, one.reused_tokens);
  sum.generated_tokens += one.generated_tokens;
}

Result<HttpReply> whole(Api& api, const Chat& chat, Session& session) {
  Json choices = Json::array();
  Usage usage;
  Json report;
  for (int32_t choice = 0; choice < chat.call.choices; ++choice) {
    const TurnReport turn = TRY(session.turn(chat.user, options_of(chat, choice), {}));
    add_usage(usage, turn.usage);
    if (choice == 0) report = to_json(turn, true);
    ToolCallReader reader(chat.offered);
    std::string words = reader.push(turn.answer);
    const ToolCallReader::End end = reader.finish();
    words += end.words;
    Json said = Json::object().set("role", "assistant");
    said.set("content", words.empty() && !end.calls.empty() ? Json() : Json(words));
    if (!end.calls.empty()) said.set("tool_calls", calls_json(end.calls, false));
    choices.push(Json::object()
                     .set("index", int64_t(choice))
                     .set("message", std::move(said))
                     .set("logprobs", shown_logprobs(api, chat, turn.sampled))
                     .set("finish_reason", end.calls.empty() ? finish_reason(turn.finish) : "tool_calls"));
  }
  Json body = head(chat, response_id("chatcmpl-"), "chat.completion", api);
  body.set("choices", std::move(choices)).set("usage", usage_json(usage)).set("varve", std::move(report));
  return json_reply(body);
}

// What the last event of a stream shows; written by the answering thread before it ends.
struct StreamEnd {
  Usage usage;
  Json report;
};

Status answer_all(const Chat& chat, Session& session, StreamEnd& end, const Emit& emit) {
  for (int32_t choice = 0; choice < chat.call.choices; ++choice) {
    ToolCallReader reader(chat.offered);
    const TurnReport turn = TRY(session.turn(chat.user, options_of(chat, choice), [&](const Piece& piece) {
      return emit({.choice = choice,
                   .text = reader.push(piece.text),
                   .tokens = {piece.tokens.begin(), piece.tokens.end()}});
    }));
    add_usage(end.usage, turn.usage);
    if (choice == 0) end.report = to_json(turn, true);
    const ToolCallReader::End held = reader.finish();
    Json calls = held.calls.empty() ? Json() : calls_json(held.calls, true);
    if ((!held.words.empty() || !calls.is_null()) &&
        !emit({.choice = choice, .text = held.words, .tool_calls = std::move(calls)})) {
      break;
    }
    const std::string_view reason = held.calls.empty() ? finish_reason(turn.finish) : "tool_calls";
    if (!emit({.choice = choice, .finish = std::string(reason)})) break;
  }
  return {};
}

Result<HttpReply> streamed(Api& api, Chat chat, std::shared_ptr<Session> session) {
  auto shared = std::make_shared<const Chat>(std::move(chat));
  auto end = std::make_shared<StreamEnd>();
  const std::string id = response_id("chatcmpl-");
  auto begun = std::make_shared<std::vector<bool>>(size_t(shared->call.choices));
  StreamShape shape;
  shape.format = [&api, shared, id, begun](const Chunk& chunk) {
    Json delta = Json::object();
    if (!(*begun)[size_t(chunk.choice)]) delta.set("role", "assistant");
    (*begun)[size_t(chunk.choice)] = true;
    if (!chunk.finish && (chunk.tool_calls.is_null() || !chunk.text.empty()))
      delta.set("content", chunk.text);
    if (!chunk.tool_calls.is_null()) delta.set("tool_calls", chunk.tool_calls);
    Json choice = Json::object().set("index", int64_t(chunk.choice)).set("delta", std::move(delta));
    choice.set("logprobs", chunk.tokens.empty() ? Json() : shown_logprobs(api, *shared, chunk.tokens));
    choice.set("finish_reason", chunk.finish ? Json(*chunk.finish) : Json());
    return head(*shared, id, "chat.completion.chunk", api)
        .set("choices", Json::array().push(std::move(choice)));
  };
  shape.last = [&api, shared, id, end]() -> std::optional<Json> {
    if (!shared->call.include_usage) return std::nullopt;
    Json body = head(*shared, id, "chat.completion.chunk", api);
    return body.set("choices", Json::array()).set("usage", usage_json(end->usage)).set("varve", end->report);
  };
  return stream_reply(
      [shared, session, end](const Emit& emit) { return answer_all(*shared, *session, *end, emit); },
      std::move(shape));
}

}  // namespace

Result<HttpReply> post_chat_completions(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  Chat chat = TRY(read_chat(api, body, request.who));
  std::shared_ptr<Session> session = TRY(api.home.session(request.who, chat.session));
  if (chat.call.stream) return streamed(api, std::move(chat), std::move(session));
  return whole(api, chat, *session);
}

}  // namespace varve
