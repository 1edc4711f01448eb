// /v1/memories: plaintext memory over HTTP. Rights are the store's: a foreign or unknown id is "not found"
// alike.
#include <charconv>

#include "serve/home/fields.h"
#include "serve/home/show.h"
#include "serve/http/http.h"

namespace varve {
namespace {

constexpr size_t kMaxText = 16u << 20, kMaxName = 256;
constexpr int32_t kMostListed = 1000;

Status read_draft(const Json& body, CubeDraft& draft) {
  CubeHeader& header = draft.header;
  TRY(Fields(body)
          .text("text", draft.payload, kMaxText)
          .text("kind", header.kind, kMaxName)
          .text("space", header.space, kMaxName)
          .text("title", header.title, kMaxName)
          .text("session", header.session, kMaxName)
          .text("speaker", header.speaker, kMaxName)
          .done());
  TRY(read_time(body, "event_at", header.event));
  TRY(read_time(body, "valid_from", header.valid_from));
  TRY(read_time(body, "valid_to", header.valid_to));
  if (draft.payload.empty()) return Status(Code::invalid, "'text' must say what to remember");
  return {};
}

Result<CubeId> id_of(const HttpRequest& request) {
  auto id = CubeId::parse(request.named.at("id"));
  // What is no id names nothing; the answer is the same as for an unknown one.
  if (!id.ok()) return Status(Code::not_found, "no memory has this id");
  return id;
}

std::string query_of(const HttpRequest& request, const std::string& key) {
  const auto found = request.query.find(key);
  return found == request.query.end() ? std::string() : found->second;
}

Result<int32_t> number_of(const HttpRequest& request, const std::string& key, int32_t fallback,
                          int32_t most) {
  const std::string text = query_of(request, key);
  if (text.empty()) return fallback;
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    return Status(Code::invalid, "'" + key + "' must be a whole number from 1 to " + std::to_string(most));
  }
  return value;
}

}  // namespace

Result<HttpReply> post_memory(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  CubeDraft draft;
  draft.header.kind = "note";
  draft.header.space = request.who.name;
  TRY(read_draft(body, draft));
  const CubeId id = TRY(api.home.cubes().put(request.who, std::move(draft)));
  const CubeHeader header = TRY(api.home.cubes().head(request.who, id));
  return json_reply(TRY(memory_json(api.home.cubes(), request.who, header)), 201);
}

Result<HttpReply> get_memories(Api& api, const HttpRequest& request) {
  CubeFilter filter{.space = query_of(request, "space"),
                    .kind = query_of(request, "kind"),
                    .session = query_of(request, "session"),
                    .form = Form::plaintext};
  const std::string life = query_of(request, "life"), after = query_of(request, "after");
  if (life == "all") {
    filter.life.reset();
  } else if (!life.empty()) {
    filter.life = TRY(parse_life(life));
  }
  if (!after.empty()) filter.after = TRY(CubeId::parse(after).with("reading 'after'"));
  filter.limit = TRY(number_of(request, "limit", 100, kMostListed));
  const auto headers = TRY(api.home.cubes().list(request.who, filter));
  Json list = Json::array();
  for (const CubeHeader& header : headers) list.push(TRY(memory_json(api.home.cubes(), request.who, header)));
  Json reply = Json::object().set("object", "list").set("data", std::move(list));
  reply.set("has_more", headers.size() == size_t(filter.limit));
  return json_reply(reply.set("last_id", headers.empty() ? Json() : Json(headers.back().id.text())));
}

Result<HttpReply> get_memory(Api& api, const HttpRequest& request) {
  const CubeHeader header = TRY(api.home.cubes().head(request.who, TRY(id_of(request))));
  if (header.life == Life::erased)
    return Status(Code::not_found, "this memory was erased; its history says when");
  return json_reply(TRY(memory_json(api.home.cubes(), request.who, header)));
}

// PUT and PATCH: new words become a new version; the old one stays in the history. "version", when given, is
// the one that the caller saw: a conflict if it moved.
Result<HttpReply> put_memory(Api& api, const HttpRequest& request) {
  const CubeId id = TRY(id_of(request));
  const Json body = TRY(body_of(request));
  const CubeHeader now = TRY(api.home.cubes().head(request.who, id));
  CubeDraft draft{.header = now, .payload = {}};
  std::string why = "updated over HTTP";
  int32_t seen = int32_t(now.version);
  TRY(Fields(body)
          .text("why", why, 1024)
          .integer("version", seen, 1, std::numeric_limits<int32_t>::max())
          .done());
  TRY(read_draft(body, draft));
  TRY(api.home.cubes().revise(request.who, id, uint32_t(seen), std::move(draft), why));
  const CubeHeader header = TRY(api.home.cubes().head(request.who, id));
  return json_reply(TRY(memory_json(api.home.cubes(), request.who, header)));
}

Result<HttpReply> delete_memory(Api& api, const HttpRequest& request) {
  return json_reply(to_json(TRY(api.home.forget(request.who, TRY(id_of(request)), "deleted over HTTP"))));
}

Result<HttpReply> get_memory_history(Api& api, const HttpRequest& request) {
  Json list = Json::array();
  for (const CubeHeader& header : TRY(api.home.cubes().history(request.who, TRY(id_of(request))))) {
    list.push(TRY(memory_json(api.home.cubes(), request.who, header)));
  }
  return json_reply(Json::object().set("object", "list").set("data", std::move(list)));
}

Result<HttpReply> search_memories(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  RecallQuery query;
  TRY(Fields(body)
          .text("query", query.text, 1 << 16)
          .text("space", query.space, kMaxName)
          .integer("limit", query.limit, 1, kMostListed)
          .integer("token_budget", query.token_budget, 1, 1 << 20)
          .done());
  TRY(read_time(body, "as_of", query.as_of));
  if (query.text.empty()) return Status(Code::invalid, "'query' must say what to look for");
  Json list = Json::array();
  for (const Recalled& one : TRY(api.home.recall().gather(request.who, query))) {
    list.push(recalled_json(one));
  }
  return json_reply(Json::object().set("object", "list").set("data", std::move(list)));
}

}  // namespace varve
