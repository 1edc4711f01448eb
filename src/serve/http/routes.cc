#include <array>

#include "serve/http/http.h"

namespace varve {
namespace {

constexpr std::array kRoutes = {
    Route{"GET", "/health", Access::open, get_health},
    Route{"GET", "/metrics", Access::read, get_metrics},
    Route{"GET", "/v1/models", Access::read, get_models},
    Route{"GET", "/v1/models/{id}", Access::read, get_model},
    Route{"POST", "/v1/chat/completions", Access::write, post_chat_completions},
    Route{"POST", "/v1/completions", Access::read, post_completions},
    Route{"POST", "/v1/embeddings", Access::read, post_embeddings},
    Route{"POST", "/v1/memories", Access::write, post_memory},
    Route{"GET", "/v1/memories", Access::read, get_memories},
    Route{"DELETE", "/v1/memories", Access::write, delete_memories},
    Route{"POST", "/v1/memories/search", Access::read, search_memories},
    Route{"GET", "/v1/memories/export", Access::read, get_export},
    Route{"POST", "/v1/memories/import", Access::write, post_import},
    Route{"GET", "/v1/memories/conflicts", Access::read, get_conflicts},
    Route{"POST", "/v1/memories/conflicts", Access::write, post_conflict},
    Route{"GET", "/v1/memories/{id}", Access::read, get_memory},
    Route{"PUT", "/v1/memories/{id}", Access::write, put_memory},
    Route{"PATCH", "/v1/memories/{id}", Access::write, put_memory},
    Route{"DELETE", "/v1/memories/{id}", Access::write, delete_memory},
    Route{"GET", "/v1/memories/{id}/history", Access::read, get_memory_history},
    Route{"GET", "/v1/memories/{id}/diff", Access::read, get_diff},
    Route{"POST", "/v1/memories/{id}/restore", Access::write, post_restore},
    Route{"GET", "/v1/spaces", Access::read, get_spaces},
    Route{"GET", "/v1/spaces/{space}", Access::read, get_space},
    Route{"PUT", "/v1/spaces/{space}", Access::admin, put_space},
    Route{"PUT", "/v1/spaces/{space}/grants/{principal}", Access::admin, put_grant},
    Route{"DELETE", "/v1/spaces/{space}/grants/{principal}", Access::admin, delete_grant},
    Route{"POST", "/v1/spaces/{space}/tend", Access::write, post_tend},
    Route{"GET", "/v1/agents", Access::read, get_agents},
    Route{"PUT", "/v1/agents/{agent}", Access::admin, put_agent},
    Route{"DELETE", "/v1/agents/{agent}", Access::admin, delete_agent},
    Route{"GET", "/v1/audit", Access::admin, get_audit},
    Route{"GET", "/v1/entities", Access::read, get_entities},
    Route{"DELETE", "/v2/entities/{type}/{name}", Access::write, delete_entity},
    Route{"PUT", "/v1/batch", Access::write, put_batch},
    Route{"DELETE", "/v1/batch", Access::write, delete_batch},
    Route{"POST", "/v2/memories", Access::read, post_memories_list},
    Route{"POST", "/v2/memories/search", Access::read, search_memories},
    Route{"GET", "/v1/ping", Access::read, get_ping},
    Route{"POST", "/v1/captures", Access::write, post_capture},
    Route{"GET", "/v1/budget", Access::admin, get_budget},
    Route{"PUT", "/v1/budget", Access::admin, put_budget},
    Route{"POST", "/v1/backups", Access::admin, post_backup},
    Route{"POST", "/mcp", Access::read, post_mcp},
    Route{"DELETE", "/mcp", Access::read, delete_mcp},
};

// Splits the next part off a path: "/v1/memories" -> "v1".
std::string_view next_part(std::string_view& path) {
  if (!path.empty() && path.front() == '/') path.remove_prefix(1);
  const size_t end = path.find('/');
  const std::string_view part = path.substr(0, end);
  path.remove_prefix(part.size());
  return part;
}

bool matches(std::string_view pattern, std::string_view path, std::map<std::string, std::string>& named) {
  if (path.size() > 1 && path.back() == '/') path.remove_suffix(1);  // some clients end every path so
  std::map<std::string, std::string> found;
  while (!pattern.empty() || !path.empty()) {
    if (pattern.empty() || path.empty()) return false;
    const std::string_view want = next_part(pattern), have = next_part(path);
    if (want.starts_with('{')) {
      if (have.empty()) return false;
      found.emplace(want.substr(1, want.size() - 2), have);
    } else if (want != have) {
      return false;
    }
  }
  named = std::move(found);
  return true;
}

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

Result<const Route*> find_route(HttpRequest& request) {
  bool known = false;
  for (const Route& route : kRoutes) {
    std::map<std::string, std::string> named;
    if (!matches(route.path, request.path, named)) continue;
    known = true;
    if (route.method != request.method) continue;
    request.named = std::move(named);
    return &route;
  }
  if (known) return Status(Code::unsupported, request.method + " is not for this path");
  return Status(Code::not_found, "no such path; see docs/http.md for the API");
}

HttpReply json_reply(const Json& body, int status) {
  return {.status = status, .body = body.dump() + "\n"};
}

HttpReply error_reply(const Status& status, int http) {
  Json error = Json::object();
  error.set("message", status.message()).set("type", outside(status.code()).type).set("param", nullptr);
  error.set("code", to_string(status.code()));
  return json_reply(Json::object().set("error", std::move(error)), http);
}

HttpReply error_reply(const Status& status) {
  return error_reply(status, outside(status.code()).http);
}

Result<Json> body_of(const HttpRequest& request) {
  auto body = parse_json(request.body);
  if (!body.ok()) return std::move(body).with("reading the request's body");
  if (!body->is_object()) return Status(Code::invalid, "the request's body must be a JSON object");
  return body;
}

std::string event(const Json& payload) {
  return "data: " + payload.dump() + "\n\n";
}

}  // namespace varve
