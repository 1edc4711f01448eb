#include "serve/http/memory/scope.h"

#include <algorithm>
#include <charconv>

#include "core/base/hash.h"
#include "serve/home/fields.h"
#include "serve/home/show.h"
#include "serve/http/memory/filter.h"

namespace varve {
namespace {

constexpr std::string_view kWords[] = {"user_id",  "agent_id", "app_id",    "run_id", "filters",
                                       "messages", "top_k",    "page_size", "infer",  "threshold"};

// What a filter demands of the user outright: {"user_id": "x"}, alone or among those of an AND.
std::string user_in(const Json& filter) {
  const auto text = [](const Json& one) { return one.is_string() && one.as_string() != "*"; };
  if (text(filter["user_id"])) return filter["user_id"].as_string();
  if (!filter["AND"].is_array()) return {};
  for (const Json& part : filter["AND"].as_array()) {
    if (text(part["user_id"])) return part["user_id"].as_string();
  }
  return {};
}

void add_equal(Json& filter, std::string_view key, const std::string& value) {
  if (!value.empty() && value != "*") filter.push(Json::object().set(key, value));
}

}  // namespace

std::string space_of_user(const Principal& who, const std::string& user) {
  if (user.empty() || user == who.name) return who.name;
  return who.name + ":u-" + sha256(user).hex().substr(0, 40);
}

Json query_json(const HttpRequest& request) {
  Json fields = Json::object();
  for (const auto& [key, value] : request.query) fields.set(key, value);
  return fields;
}

Result<Scope> read_scope(const Principal& who, const Json& fields) {
  Scope scope;
  TRY(Fields(fields)
          .text("user_id", scope.user, kMaxNameBytes)
          .text("agent_id", scope.agent, kMaxNameBytes)
          .text("app_id", scope.app, kMaxNameBytes)
          .text("run_id", scope.run, kMaxNameBytes)
          .text("space", scope.space, kMaxNameBytes)
          .done());
  scope.spoken = std::any_of(std::begin(kWords), std::end(kWords),
                             [&](std::string_view word) { return fields.find(word) != nullptr; });
  if (const Json& metadata = fields["metadata"]; !metadata.is_null()) {
    if (!metadata.is_object()) return Status(Code::invalid, "'metadata' must be an object");
    scope.metadata = metadata;
  }
  if (const Json& filters = fields["filters"]; !filters.is_null()) {
    TRY(check_filter(filters).with("reading 'filters'"));
    if (scope.user.empty()) scope.user = user_in(filters);
    scope.filter.push(filters);
  }
  add_equal(scope.filter, "agent_id", scope.agent);
  add_equal(scope.filter, "app_id", scope.app);
  add_equal(scope.filter, "run_id", scope.run);
  if (scope.user == "*") scope.user.clear();
  if (scope.space.empty() && !scope.user.empty()) scope.space = space_of_user(who, scope.user);
  return scope;
}

std::string labels_of(const Scope& scope) {
  Json labels = Json::object();
  const std::pair<const char*, const std::string*> names[] = {
      {"user_id", &scope.user}, {"agent_id", &scope.agent}, {"app_id", &scope.app}, {"run_id", &scope.run}};
  for (const auto& [key, value] : names) {
    if (!value->empty()) labels.set(key, *value);
  }
  if (scope.metadata.size() > 0) labels.set("metadata", scope.metadata);
  return labels.size() > 0 ? labels.dump() : std::string();
}

Result<CubeId> memory_id(std::string_view text) {
  auto id = CubeId::parse(text);
  if (!id.ok()) return Status(Code::not_found, "no memory has this id");
  return id;
}

Status number_in(const Json& query, std::string_view key, int32_t& out, int32_t most) {
  const std::string text = query[key].is_string() ? query[key].as_string() : std::string();
  if (text.empty()) return {};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc() && end == text.data() + text.size() && out >= 1 && out <= most) return {};
  return Status(Code::invalid,
                "'" + std::string(key) + "' must be a whole number from 1 to " + std::to_string(most));
}

Result<HttpReply> revised_reply(Api& api, const Principal& who, CubeId id, Result<uint32_t> revised) {
  if (!revised.ok() && revised.code() != Code::conflict) return std::move(revised).status();
  const CubeStore& cubes = api.home.cubes();
  Json current = TRY(memory_json(cubes, who, TRY(cubes.head(who, id))));
  if (revised.ok()) return json_reply(current);
  HttpReply reply = error_reply(std::move(revised).status());
  const Json error = TRY(parse_json(reply.body));
  return json_reply(Json(error).set("current", std::move(current)), reply.status);
}

Json mem0_json(const CubeHeader& header, const std::string& text) {
  Json json = memory_json(header);
  const Json labels = json["labels"];
  json.set("text", text).set("memory", text).set("hash", header.payload_hash.hex());
  for (const char* key : {"user_id", "agent_id", "app_id", "run_id", "metadata", "categories"})
    json.set(key, labels[key]);
  json.set("created_at", format_time(header.event.value_or(header.recorded)));
  return json.set("updated_at", format_time(header.recorded));
}

bool passes(const Scope& scope, const Json& memory) {
  return std::all_of(scope.filter.as_array().begin(), scope.filter.as_array().end(),
                     [&](const Json& one) { return passes(one, memory); });
}

}  // namespace varve
