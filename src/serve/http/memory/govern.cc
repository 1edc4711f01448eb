// What owners do beside reading and writing: old versions, differences, conflicts, spaces with their rules
// and rights, agents, the journal. Rights are the store's.
#include "serve/home/govern.h"

#include "serve/home/fields.h"
#include "serve/home/show.h"
#include "serve/http/memory/scope.h"

namespace varve {
namespace {

constexpr int32_t kMostEntries = 10000, kPage = 1000;
constexpr int32_t kAnyVersion = std::numeric_limits<int32_t>::max();

HttpReply list_reply(Json list) {
  return json_reply(Json::object().set("object", "list").set("data", std::move(list)));
}

Governance& governance(Api& api) {
  return api.home.cubes().governance();
}

Result<CubeId> id_in(const Json& body, std::string_view key) {
  std::string text;
  TRY(Fields(body).text(key, text, 64).done());
  if (text.empty()) return Status(Code::invalid, "'" + std::string(key) + "' must be the id of a memory");
  return memory_id(text);
}

Result<uint32_t> version_in(const Json& query, std::string_view key) {
  int32_t version = 0;
  TRY(number_in(query, key, version, kAnyVersion));
  return uint32_t(version);
}

Result<uint8_t> role_in(const Json& body) {
  std::string role;
  TRY(Fields(body).text("role", role, 16).done());
  return parse_rights(role).with("reading 'role'");
}

Result<Json> shown_space(Api& api, const Principal& who, const std::string& name) {
  for (const Space& space : TRY(governance(api).spaces(who))) {
    if (space.name == name)
      return space_json(space).set("grants", TRY(grants_json(governance(api), who, name)));
  }
  return Status(Code::not_found, "no space of this name may be read");
}

}  // namespace

// "version" comes back as a new one; with "base", refused when there is a newer than the caller saw.
Result<HttpReply> post_restore(Api& api, const HttpRequest& request) {
  const CubeId id = TRY(memory_id(request.named.at("id")));
  const Json body = TRY(body_of(request));
  int32_t version = 0, base = 0;
  std::string why;
  TRY(Fields(body)
          .integer("version", version, 1, kAnyVersion)
          .integer("base", base, 1, kAnyVersion)
          .text("why", why, kMaxWhyBytes)
          .done());
  if (version == 0) return Status(Code::invalid, "'version' must say which one comes back");
  auto made = governance(api).restore(request.who, id, uint32_t(version), uint32_t(base), why);
  return revised_reply(api, request.who, id, std::move(made));
}

Result<HttpReply> get_diff(Api& api, const HttpRequest& request) {
  const Json query = query_json(request);
  const CubeId id = TRY(memory_id(request.named.at("id")));
  const uint32_t from = TRY(version_in(query, "from")), to = TRY(version_in(query, "to"));
  return json_reply(TRY(diff_json(api.home.cubes(), request.who, id, from, to)));
}

Result<HttpReply> get_conflicts(Api& api, const HttpRequest& request) {
  const Json query = query_json(request);
  const Scope scope = TRY(read_scope(request.who, query));
  return list_reply(
      TRY(conflicts_json(api.home.cubes(), request.who, scope.space, query["all"] == Json("true"))));
}

Result<HttpReply> post_conflict(Api& api, const HttpRequest& request) {
  const Json body = TRY(body_of(request));
  std::string verdict, why = "settled over HTTP";
  TRY(Fields(body).text("verdict", verdict, 16).text("why", why, kMaxWhyBytes).done());
  const CubeId newer = TRY(id_in(body, "newer")), older = TRY(id_in(body, "older"));
  TRY(governance(api).settle(request.who, newer, older, TRY(parse_verdict(verdict)), why));
  Json reply = Json::object().set("object", "conflict").set("settled", verdict);
  for (const auto& [key, id] : {std::pair("newer", newer), std::pair("older", older)})
    reply.set(key, memory_json(TRY(api.home.cubes().head(request.who, id))));
  return json_reply(reply);
}

Result<HttpReply> get_spaces(Api& api, const HttpRequest& request) {
  Json list = Json::array();
  for (const Space& space : TRY(governance(api).spaces(request.who))) list.push(space_json(space));
  return list_reply(std::move(list));
}

Result<HttpReply> get_space(Api& api, const HttpRequest& request) {
  return json_reply(TRY(shown_space(api, request.who, request.named.at("space"))));
}

// Of a new space of the caller's own, too: what is not said of its rules is the default.
Result<HttpReply> put_space(Api& api, const HttpRequest& request) {
  const std::string& name = request.named.at("space");
  const Json body = TRY(body_of(request));
  TRY(check_space(name));
  SpaceRules rules = TRY(governance(api).rules(request.who, name));
  TRY(read_rules(body, rules));
  TRY(governance(api).set_rules(request.who, name, rules));
  return json_reply(TRY(shown_space(api, request.who, name)));
}

Result<HttpReply> put_grant(Api& api, const HttpRequest& request) {
  const std::string &space = request.named.at("space"), &whom = request.named.at("principal");
  TRY(api.home.cubes().grant(request.who, space, whom, TRY(role_in(TRY(body_of(request))))));
  return json_reply(TRY(shown_space(api, request.who, space)));
}

Result<HttpReply> delete_grant(Api& api, const HttpRequest& request) {
  const std::string& space = request.named.at("space");
  TRY(api.home.cubes().grant(request.who, space, request.named.at("principal"), 0));
  return json_reply(TRY(shown_space(api, request.who, space)));
}

Result<HttpReply> post_tend(Api& api, const HttpRequest& request) {
  const Tended done = TRY(governance(api).tend(request.who, request.named.at("space")));
  Json reply = Json::object().set("object", "tended").set("expired", done.expired);
  reply.set("archived", done.archived).set("dropped", done.dropped);
  return json_reply(reply.set("active_bytes", done.active_bytes));
}

Result<HttpReply> get_agents(Api& api, const HttpRequest& request) {
  Json list = Json::array();
  for (const Grant& one : TRY(governance(api).lent(request.who)))
    list.push(Json::object().set("agent", one.principal).set("role", role(one.rights)));
  return list_reply(std::move(list));
}

Result<HttpReply> put_agent(Api& api, const HttpRequest& request) {
  const std::string& agent = request.named.at("agent");
  const uint8_t rights = TRY(role_in(TRY(body_of(request))));
  TRY(governance(api).lend(request.who, agent, rights));
  return json_reply(Json::object().set("agent", agent).set("role", role(rights)));
}

Result<HttpReply> delete_agent(Api& api, const HttpRequest& request) {
  const std::string& agent = request.named.at("agent");
  TRY(governance(api).lend(request.who, agent, 0));
  return json_reply(Json::object().set("agent", agent).set("role", role(0)));
}

Result<HttpReply> get_audit(Api& api, const HttpRequest& request) {
  const Json query = query_json(request);
  AuditQuery wanted{.space = query["space"].is_string() ? query["space"].as_string() : ""};
  int32_t after = 0;
  TRY(number_in(query, "limit", wanted.limit, kMostEntries));
  TRY(number_in(query, "after", after, kAnyVersion));
  wanted.after = after;
  Json list = Json::array();
  for (const JournalEntry& one : TRY(governance(api).audit(request.who, wanted))) list.push(entry_json(one));
  return list_reply(std::move(list));
}

// mem0's users(): whom memories are about, and in which conversations, with how many each has.
Result<HttpReply> get_entities(Api& api, const HttpRequest& request) {
  const Scope scope = TRY(read_scope(request.who, query_json(request)));
  std::map<std::pair<std::string, std::string>, int64_t> counts;  // (type, name)
  CubeFilter filter{.space = scope.space, .form = Form::plaintext, .limit = kPage};
  for (;;) {
    const auto page = TRY(api.home.cubes().list(request.who, filter));
    for (const CubeHeader& header : page) {
      const auto parsed = parse_json(header.labels);
      for (const char* type : {"user", "agent", "app"}) {
        if (!parsed.ok()) break;
        const Json& name = (*parsed)[std::string(type) + "_id"];
        if (name.is_string()) ++counts[{type, name.as_string()}];
      }
      if (!header.session.empty()) ++counts[{"run", header.session}];
    }
    if (page.size() < size_t(kPage)) break;
    filter.after = page.back().id;
  }
  Json results = Json::array();
  for (const auto& [one, count] : counts) {
    Json json = Json::object().set("type", one.first).set("id", one.second).set("name", one.second);
    results.push(json.set("total_memories", count));
  }
  return json_reply(Json::object().set("results", std::move(results)));
}

// mem0's delete_users(): DELETE /v2/entities/user/NAME.
Result<HttpReply> delete_entity(Api& api, const HttpRequest& request) {
  const std::string& type = request.named.at("type");
  if (type != "user" && type != "agent" && type != "app" && type != "run")
    return Status(Code::not_found, "an entity is a user, an agent, an app or a run");
  HttpRequest all = request;
  all.query = {{type + "_id", request.named.at("name")}};
  return delete_memories(api, all);
}

}  // namespace varve
