// /v1/memories: plaintext memory over HTTP. Rights are the store's: a foreign or unknown id is "not found"
// alike. A request that speaks mem0's words is answered in them (docs/http.md).
#include <algorithm>

#include "memory/cube/governance.h"
#include "memory/plaintext/evidence.h"
#include "serve/home/fields.h"
#include "serve/home/show.h"
#include "serve/http/memory/filter.h"
#include "serve/http/memory/scope.h"

namespace varve {
namespace {

constexpr size_t kMaxMessages = 1000;
constexpr int32_t kMostListed = 1000, kMostPages = 100000, kScanned = 1000;

Status read_draft(const Json& body, CubeDraft& draft) {
  CubeHeader& header = draft.header;
  TRY(Fields(body)
          .text("text", draft.payload, kMaxPlaintextBytes)
          .text("kind", header.kind, kMaxNameBytes)
          .text("title", header.title, kMaxTitleBytes)
          .text("session", header.session, kMaxNameBytes)
          .text("speaker", header.speaker, kMaxNameBytes)
          .done());
  TRY(read_time(body, "event_at", header.event));
  TRY(read_time(body, "valid_from", header.valid_from));
  TRY(read_time(body, "valid_to", header.valid_to));
  return check_words(draft.payload);
}

Result<CubeId> id_of(const HttpRequest& request) {
  return memory_id(request.named.at("id"));
}

Result<Json> shown(Api& api, const Principal& who, const CubeHeader& header, const Scope& scope) {
  if (!scope.spoken) return memory_json(api.home.cubes(), who, header);
  if (header.life == Life::erased || header.form != Form::plaintext) return mem0_json(header, "");
  return mem0_json(header, TRY(api.home.cubes().payload(who, header.id, header.version)));
}

// The turns of a conversation go on where the session ended.
Result<int32_t> next_turn(Api& api, const Principal& who, const Scope& scope) {
  int32_t next = 0;
  CubeFilter filter{.space = scope.space, .session = scope.run, .life = std::nullopt, .limit = kScanned};
  while (!scope.run.empty()) {
    const auto page = TRY(api.home.cubes().list(who, filter));
    for (const CubeHeader& header : page) next = std::max(next, header.turn + 1);
    if (page.size() < size_t(kScanned)) break;
    filter.after = page.back().id;
  }
  return next;
}

struct Heard {
  std::string role, words, speaker;
};

Result<std::vector<Heard>> read_heard(const Json& messages) {
  if (messages.is_string()) return std::vector<Heard>{{"user", messages.as_string(), "user"}};
  if (!messages.is_array() || messages.size() == 0 || messages.size() > kMaxMessages)
    return Status(Code::invalid, "'messages' must be a string, or a list of 1 to 1000 messages");
  std::vector<Heard> heard;
  for (const Json& message : messages.as_array()) {
    Heard one;
    TRY(Fields(message)
            .text("role", one.role, 32)
            .text("content", one.words, kMaxPlaintextBytes)
            .text("name", one.speaker, kMaxNameBytes)
            .done());
    if (one.role != "user" && one.role != "assistant" && one.role != "system" && one.role != "tool")
      return Status(Code::invalid, "a message's 'role' must be user, assistant, system or tool");
    if (one.speaker.empty()) one.speaker = one.role;
    TRY(check_words(one.words).with("reading a message's 'content'"));
    heard.push_back(std::move(one));
  }
  return heard;
}

Json added(const CubeId& id, const std::string& words) {
  return Json::object().set("id", id.text()).set("memory", words).set("event", "ADD");
}

// What was derived from a conversation that was added: facts, when a reflector and its model are there.
Status learn(Api& api, const Principal& who, const Turn& turn, Json& results) {
  for (const CubeId& id : TRY(api.home.learn(who, turn))) {
    const CubeHeader header = TRY(api.home.cubes().head(who, id));
    if (header.version > 1 || header.life != Life::active) continue;
    results.push(added(id, TRY(api.home.cubes().payload(who, id))));
  }
  return {};
}

// mem0's add: the messages verbatim, as evidence; unless "infer" is false what the reflector derives from
// each exchange comes too. What a system said is nobody's memory.
Result<HttpReply> add_messages(Api& api, const HttpRequest& request, const Json& body, const Scope& scope) {
  const std::vector<Heard> heard = TRY(read_heard(body["messages"]));
  bool infer = true;
  TRY(Fields(body).boolean("infer", infer).done());
  std::optional<TimeMs> event;
  TRY(read_time(body, "event_at", event));
  if (const Json& stamp = body["timestamp"];
      stamp.is_int() && stamp.as_int() > 0 && stamp.as_int() < (1ll << 37))
    event = stamp.as_int() * 1000;
  int32_t turn = TRY(next_turn(api, request.who, scope)) - 1;
  std::vector<MemoryOp> ops;
  std::vector<Turn> turns;
  for (const Heard& one : heard) {
    if (one.role == "system") continue;
    if (one.role == "user" || turn < 0 || ops.empty()) ++turn;
    MemoryOp op;
    op.draft = turn_draft({scope.run, turn, one.speaker, one.words, event}, scope.space);
    op.draft.header.trust = one.role == "user"        ? Trust::user
                            : one.role == "assistant" ? Trust::model
                                                      : Trust::outside;
    op.draft.header.labels = labels_of(scope);
    ops.push_back(std::move(op));
  }
  const auto ids = TRY(api.home.cubes().apply(request.who, ops));
  Json results = Json::array();
  Turn exchange{.session = scope.run, .space = scope.space};
  for (size_t i = 0; i < ids.size(); ++i) {
    const CubeDraft& draft = ops[i].draft;
    results.push(added(ids[i], draft.payload));
    const bool last = i + 1 == ids.size() || ops[i + 1].draft.header.turn != draft.header.turn;
    exchange.index = draft.header.turn;
    exchange.time = event.value_or(api.home.clock().now_ms());
    if (draft.header.trust == Trust::user) {
      exchange.user = draft.payload;
      exchange.user_cube = ids[i];
    } else if (draft.header.trust == Trust::model) {
      exchange.assistant = draft.payload;
      exchange.assistant_cube = ids[i];
    }
    if (!last) continue;
    turns.push_back(std::exchange(exchange, Turn{.session = scope.run, .space = scope.space}));
  }
  Json reply = Json::object();
  for (const Turn& one : turns) {
    if (!infer || !one.user_cube) continue;
    if (Status learnt = learn(api, request.who, one, results); !learnt.ok())
      reply.set("trouble",
                "the messages are stored; deriving from them failed: " + std::string(learnt.message()));
  }
  return json_reply(reply.set("results", std::move(results)), 201);
}

// A page of what passes, oldest first. `skip` counts passing memories before it.
struct Wanted {
  CubeFilter filter;
  int32_t limit = 100, skip = 0;
};
Result<Json> list_passing(Api& api, const Principal& who, const Scope& scope, Wanted wanted, bool& more) {
  Json list = Json::array();
  more = false;
  const bool all_pass = scope.filter.size() == 0;
  wanted.filter.limit = all_pass && wanted.skip == 0 ? wanted.limit : kScanned;
  for (;;) {
    const auto page = TRY(api.home.cubes().list(who, wanted.filter));
    for (const CubeHeader& header : page) {
      auto json = shown(api, who, header, scope);
      if (json.code() == Code::not_found) continue;  // forgotten meanwhile
      if (!json.ok()) return std::move(json).status();
      if (!all_pass && !passes(scope, scope.spoken ? *json : mem0_json(header, ""))) continue;
      if (wanted.skip > 0) {
        --wanted.skip;
      } else if (list.size() == size_t(wanted.limit)) {
        more = true;
        return list;
      } else {
        list.push(std::move(json).value());
      }
    }
    if (page.size() < size_t(wanted.filter.limit)) return list;
    if (list.size() == size_t(wanted.limit)) {
      more = true;
      return list;
    }
    wanted.filter.after = page.back().id;
  }
}

Result<Wanted> wanted_of(const Json& query, const Scope& scope) {
  Wanted wanted{.filter = {.space = scope.space, .form = Form::plaintext}};
  std::string life, after;
  TRY(Fields(query)
          .text("kind", wanted.filter.kind, kMaxNameBytes)
          .text("session", wanted.filter.session, kMaxNameBytes)
          .text("life", life, 16)
          .text("after", after, 64)
          .done());
  if (wanted.filter.session.empty()) wanted.filter.session = scope.run == "*" ? "" : scope.run;
  if (life == "all") wanted.filter.life.reset();
  if (!life.empty() && life != "all") wanted.filter.life = TRY(parse_life(life));
  if (!after.empty()) wanted.filter.after = TRY(CubeId::parse(after).with("reading 'after'"));
  return wanted;
}

Result<HttpReply> listed(Api& api, const HttpRequest& request, const Scope& scope, Wanted wanted) {
  bool more = false;
  Json list = TRY(list_passing(api, request.who, scope, std::move(wanted), more));
  const Json last = list.size() == 0 ? Json() : list.as_array().back()["id"];
  Json reply = Json::object().set("object", "list");
  reply.set(scope.spoken ? "results" : "data", std::move(list)).set("has_more", more);
  return json_reply(reply.set("last_id", last));
}

}  // namespace

Result<HttpReply> post_memory(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  Scope scope = TRY(read_scope(request.who, body));
  if (scope.space.empty()) scope.space = request.who.name;
  if (body.find("messages") != nullptr) return add_messages(api, request, body, scope);
  CubeDraft draft;
  draft.header.kind = "note";
  draft.header.space = scope.space;
  draft.header.session = scope.run;
  draft.header.labels = labels_of(scope);
  TRY(read_draft(body, draft));
  TRY(read_rivals(body, draft.header));
  const CubeId id = TRY(api.home.cubes().put(request.who, std::move(draft)));
  return json_reply(TRY(shown(api, request.who, TRY(api.home.cubes().head(request.who, id)), scope)), 201);
}

Result<HttpReply> get_memories(Api& api, const HttpRequest& request) {
  const Json query = query_json(request);
  const Scope scope = TRY(read_scope(request.who, query));
  Wanted wanted = TRY(wanted_of(query, scope));
  int32_t page = 1;
  TRY(number_in(query, "limit", wanted.limit, kMostListed));
  TRY(number_in(query, "page_size", wanted.limit, kMostListed));
  TRY(number_in(query, "page", page, kMostPages));
  wanted.skip = (page - 1) * wanted.limit;
  return listed(api, request, scope, std::move(wanted));
}

// mem0's second version sends its filters in a body.
Result<HttpReply> post_memories_list(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  Scope scope = TRY(read_scope(request.who, body));
  scope.spoken = true;
  Wanted wanted = TRY(wanted_of(body, scope));
  int32_t page = 1;
  TRY(Fields(body)
          .integer("page", page, 1, kMostPages)
          .integer("page_size", wanted.limit, 1, kMostListed)
          .done());
  wanted.skip = (page - 1) * wanted.limit;
  return listed(api, request, scope, std::move(wanted));
}

Result<HttpReply> get_memory(Api& api, const HttpRequest& request) {
  const Json query = query_json(request);
  const CubeId id = TRY(id_of(request));
  int32_t version = 0;
  std::optional<TimeMs> known_at;
  TRY(number_in(query, "version", version, std::numeric_limits<int32_t>::max()));
  TRY(read_time(query, "known_at", known_at));
  const CubeStore& cubes = api.home.cubes();
  const CubeHeader header = TRY(known_at ? api.home.cubes().governance().as_of(request.who, id, *known_at)
                                         : cubes.head(request.who, id, uint32_t(version)));
  if (header.life == Life::erased)
    return Status(Code::not_found, "this memory was erased; its history says when");
  return json_reply(TRY(memory_json(cubes, request.who, header)));
}

// New words become a new version; the old one stays in the history. "version", when given, is the one that
// the caller saw: a conflict if it moved, and the answer shows what is there now.
Result<HttpReply> update_memory(Api& api, const HttpRequest& request, CubeId id, const Json& body) {
  const Scope scope = TRY(read_scope(request.who, body));
  const CubeHeader now = TRY(api.home.cubes().head(request.who, id));
  CubeDraft draft{.header = now, .payload = {}};
  draft.header.supersedes.clear();
  std::string why = "updated over HTTP";
  int32_t seen = int32_t(now.version);
  TRY(Fields(body)
          .text("why", why, kMaxWhyBytes)
          .integer("version", seen, 1, std::numeric_limits<int32_t>::max())
          .done());
  if (!scope.metadata.is_null()) {
    auto labels = parse_json(now.labels.empty() ? "{}" : now.labels);
    draft.header.labels = (labels.ok() ? *labels : Json::object()).set("metadata", scope.metadata).dump();
    if (body["text"].is_null()) draft.payload = TRY(api.home.cubes().payload(request.who, id));
  }
  TRY(read_draft(body, draft));
  auto revised = api.home.cubes().revise(request.who, id, uint32_t(seen), std::move(draft), why);
  return revised_reply(api, request.who, id, std::move(revised));
}

Result<HttpReply> put_memory(Api& api, const HttpRequest& request) {
  return update_memory(api, request, TRY(id_of(request)), TRY(body_of(request)));
}

Result<HttpReply> delete_memory(Api& api, const HttpRequest& request) {
  return json_reply(to_json(TRY(api.home.forget(request.who, TRY(id_of(request)), "deleted over HTTP"))));
}

Result<HttpReply> get_memory_history(Api& api, const HttpRequest& request) {
  Json list = Json::array(), before;
  for (const CubeHeader& header : TRY(api.home.cubes().history(request.who, TRY(id_of(request))))) {
    Json one = TRY(memory_json(api.home.cubes(), request.who, header));
    const Json words = one["text"];
    one.set("memory_id", header.id.text()).set("event", before.is_null() ? "ADD" : "UPDATE");
    list.push(one.set("old_memory", std::exchange(before, words)).set("new_memory", words));
  }
  return json_reply(Json::object().set("object", "list").set("data", std::move(list)));
}

Result<HttpReply> search_memories(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  const Scope scope = TRY(read_scope(request.who, body));
  RecallQuery query;
  float threshold = -std::numeric_limits<float>::max();
  TRY(Fields(body)
          .text("query", query.text, 1 << 16)
          .integer("limit", query.limit, 1, kMostListed)
          .integer("top_k", query.limit, 1, kMostListed)
          .integer("token_budget", query.token_budget, 1, 1 << 20)
          .number("threshold", threshold, -1e9f, 1e9f)
          .done());
  TRY(read_time(body, "as_of", query.as_of));
  TRY(read_time(body, "known_at", query.known_at));
  TRY(read_time(body, "reference_date", query.reference));
  if (query.text.empty()) return Status(Code::invalid, "'query' must say what to look for");
  query.space = scope.space;
  const int32_t most = query.limit;
  if (scope.filter.size() > 0) query.limit = std::min(kMostListed, most * 20);
  Json list = Json::array();
  for (const Recalled& one : TRY(api.home.recall().gather(request.who, query))) {
    Json known = mem0_json(one.header, one.text);
    if (one.score < threshold || !passes(scope, known) || list.size() == size_t(most)) continue;
    const Json scored = recalled_json(one);
    if (scope.spoken) {
      list.push(known.set("score", scored["score"])
                    .set("scores", scored["scores"])
                    .set("source", scored["source"]));
    } else {
      list.push(scored);
    }
  }
  Json reply = Json::object().set("object", "list").set(scope.spoken ? "results" : "data", std::move(list));
  if (scope.filter.size() > 0) return json_reply(reply);  // what is counted knows no filter
  query.limit = most;
  if (const auto counted = TRY(api.home.recall().aggregate(request.who, query)))
    reply.set("aggregate", aggregate_json(*counted));
  return json_reply(reply);
}

}  // namespace varve
