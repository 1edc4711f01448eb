// /v1/memories: plaintext memory over HTTP. Rights are the store's: a foreign or unknown id is "not found"
// alike.
#include <charconv>

#include "serve/http/fields.h"
#include "serve/http/http.h"

namespace varve {
namespace {

constexpr size_t kMaxText = 16u << 20, kMaxName = 256;
constexpr int32_t kMostListed = 1000;

Json time_json(const std::optional<TimeMs>& time) {
  return time ? Json(format_time(*time)) : Json();
}

Json header_json(const CubeHeader& header) {
  Json from = Json::array();
  for (const Source& source : header.from) {
    from.push(Json::object().set("id", source.cube.text()).set("version", int64_t(source.version)));
  }
  Json json = Json::object();
  json.set("id", header.id.text()).set("object", "memory").set("version", int64_t(header.version));
  json.set("form", to_string(header.form)).set("kind", header.kind).set("life", to_string(header.life));
  json.set("owner", header.owner).set("space", header.space).set("title", header.title);
  json.set("session", header.session).set("turn", int64_t(header.turn)).set("speaker", header.speaker);
  json.set("recorded_at", format_time(header.recorded)).set("event_at", time_json(header.event));
  json.set("valid_from", time_json(header.valid_from)).set("valid_to", time_json(header.valid_to));
  json.set("from", std::move(from)).set("trust", to_string(header.trust)).set("strength", header.strength);
  return json.set("why", header.why);
}

Result<Json> memory_json(Api& api, const Principal& who, const CubeHeader& header) {
  Json json = header_json(header);
  if (header.life == Life::erased || header.form != Form::plaintext) return json;
  return json.set("text", TRY(api.home.cubes().payload(who, header.id, header.version)));
}

Status read_time(const Json& body, std::string_view key, std::optional<TimeMs>& out) {
  std::string text;
  TRY(Fields(body).text(key, text, 64).done());
  if (!text.empty()) out = TRY(parse_time(text).with("reading '" + std::string(key) + "'"));
  return {};
}

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

Json receipt_json(const EraseReceipt& receipt) {
  Json items = Json::array(), missed = Json::array();
  for (const auto& item : receipt.items) {
    items.push(Json::object()
                   .set("id", item.id.text())
                   .set("kind", item.kind)
                   .set("versions", int64_t(item.versions))
                   .set("payload_sha256", item.payload_hash.hex())
                   .set("method", item.method));
  }
  for (const std::string& one : receipt.not_reached) missed.push(one);
  return Json::object().set("erased", std::move(items)).set("not_reached", std::move(missed));
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
  return json_reply(TRY(memory_json(api, request.who, header)), 201);
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
  for (const CubeHeader& header : headers) list.push(TRY(memory_json(api, request.who, header)));
  Json reply = Json::object().set("object", "list").set("data", std::move(list));
  reply.set("has_more", headers.size() == size_t(filter.limit));
  return json_reply(reply.set("last_id", headers.empty() ? Json() : Json(headers.back().id.text())));
}

Result<HttpReply> get_memory(Api& api, const HttpRequest& request) {
  const CubeHeader header = TRY(api.home.cubes().head(request.who, TRY(id_of(request))));
  if (header.life == Life::erased)
    return Status(Code::not_found, "this memory was erased; its history says when");
  return json_reply(TRY(memory_json(api, request.who, header)));
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
  return json_reply(TRY(memory_json(api, request.who, header)));
}

Result<HttpReply> delete_memory(Api& api, const HttpRequest& request) {
  return json_reply(
      receipt_json(TRY(api.home.forget(request.who, TRY(id_of(request)), "deleted over HTTP"))));
}

Result<HttpReply> get_memory_history(Api& api, const HttpRequest& request) {
  Json list = Json::array();
  for (const CubeHeader& header : TRY(api.home.cubes().history(request.who, TRY(id_of(request))))) {
    list.push(TRY(memory_json(api, request.who, header)));
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
    Json parts = Json::object();
    for (const auto& [name, score] : one.parts) parts.set(name, double(score));
    Json json = header_json(one.header);
    json.set("text", one.text).set("score", double(one.score)).set("scores", std::move(parts));
    list.push(json.set("source", source_of(one.header)));
  }
  return json_reply(Json::object().set("object", "list").set("data", std::move(list)));
}

}  // namespace varve
