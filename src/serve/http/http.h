// The HTTP API without a network: requests, replies and the table of routes. server.cc alone knows the HTTP
// library.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/format/json.h"
#include "memory/cube/cube.h"
#include "serve/home/home.h"
#include "serve/mcp/sessions.h"

namespace varve {

// What a route asks of a key. A key's role grants its own and the weaker ones; open routes need none.
enum class Access : uint8_t { open, read, write, admin };

struct HttpRequest {
  std::string method, path;
  std::map<std::string, std::string> query;    // after '?'
  std::map<std::string, std::string> named;    // of the route: {id}
  std::map<std::string, std::string> headers;  // those that a route reads, by lower-case name
  std::string body;
  Principal who;               // whose key it was
  Access role = Access::read;  // of that key
};

// Takes one chunk; false when the client is gone.
using Sink = std::function<bool(std::string_view chunk)>;

struct HttpReply {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::function<void(const Sink&)> stream;  // when set: an event stream instead of a body
  std::vector<std::pair<std::string, std::string>> headers = {};
};

class Counters;  // counters.h

struct Api {  // what a route works with; all of it outlives the server
  Home& home;
  Counters& counters;
  bool remember = true;  // whether chats are recalled and stored when the request says nothing
  McpSessions mcp = McpSessions();
};

struct Route {
  std::string_view method, path;  // "/v1/memories/{id}"
  Access access;
  Result<HttpReply> (*answer)(Api& api, const HttpRequest& request);
};

std::span<const Route> routes();
// The route of a path, its names filled into `request`. not_found, or unsupported when only the method is
// wrong.
Result<const Route*> find_route(HttpRequest& request);

HttpReply json_reply(const Json& body, int status = 200);
HttpReply error_reply(const Status& status, int http);  // {"error": {"message", "type", "param", "code"}}
HttpReply error_reply(const Status& status);

// A JSON body within the limits of hostile input; invalid says what is wrong.
Result<Json> body_of(const HttpRequest& request);

// Server-sent events, as OpenAI's clients read them.
std::string event(const Json& payload);
inline constexpr std::string_view kDone = "data: [DONE]\n\n";

// The routes, by file.
Result<HttpReply> post_chat_completions(Api& api, const HttpRequest& request);
Result<HttpReply> post_completions(Api& api, const HttpRequest& request);
Result<HttpReply> post_embeddings(Api& api, const HttpRequest& request);
Result<HttpReply> get_models(Api& api, const HttpRequest& request);
Result<HttpReply> get_model(Api& api, const HttpRequest& request);
Result<HttpReply> get_health(Api& api, const HttpRequest& request);
Result<HttpReply> get_metrics(Api& api, const HttpRequest& request);
Result<HttpReply> post_memory(Api& api, const HttpRequest& request);
Result<HttpReply> get_memories(Api& api, const HttpRequest& request);
Result<HttpReply> get_memory(Api& api, const HttpRequest& request);
Result<HttpReply> put_memory(Api& api, const HttpRequest& request);
Result<HttpReply> delete_memory(Api& api, const HttpRequest& request);
Result<HttpReply> get_memory_history(Api& api, const HttpRequest& request);
Result<HttpReply> update_memory(Api& api, const HttpRequest& request, CubeId id, const Json& body);
Result<HttpReply> post_memories_list(Api& api, const HttpRequest& request);
Result<HttpReply> delete_memories(Api& api, const HttpRequest& request);
Result<HttpReply> put_batch(Api& api, const HttpRequest& request);
Result<HttpReply> delete_batch(Api& api, const HttpRequest& request);
Result<HttpReply> get_export(Api& api, const HttpRequest& request);
Result<HttpReply> post_import(Api& api, const HttpRequest& request);
Result<HttpReply> get_ping(Api& api, const HttpRequest& request);
Result<HttpReply> search_memories(Api& api, const HttpRequest& request);
Result<HttpReply> post_restore(Api& api, const HttpRequest& request);
Result<HttpReply> get_diff(Api& api, const HttpRequest& request);
Result<HttpReply> get_conflicts(Api& api, const HttpRequest& request);
Result<HttpReply> post_conflict(Api& api, const HttpRequest& request);
Result<HttpReply> get_spaces(Api& api, const HttpRequest& request);
Result<HttpReply> get_space(Api& api, const HttpRequest& request);
Result<HttpReply> put_space(Api& api, const HttpRequest& request);
Result<HttpReply> put_grant(Api& api, const HttpRequest& request);
Result<HttpReply> delete_grant(Api& api, const HttpRequest& request);
Result<HttpReply> post_tend(Api& api, const HttpRequest& request);
Result<HttpReply> get_agents(Api& api, const HttpRequest& request);
Result<HttpReply> put_agent(Api& api, const HttpRequest& request);
Result<HttpReply> delete_agent(Api& api, const HttpRequest& request);
Result<HttpReply> get_audit(Api& api, const HttpRequest& request);
Result<HttpReply> get_entities(Api& api, const HttpRequest& request);
Result<HttpReply> delete_entity(Api& api, const HttpRequest& request);
Result<HttpReply> post_capture(Api& api, const HttpRequest& request);
Result<HttpReply> get_budget(Api& api, const HttpRequest& request);
Result<HttpReply> put_budget(Api& api, const HttpRequest& request);
Result<HttpReply> post_backup(Api& api, const HttpRequest& request);
Result<HttpReply> post_mcp(Api& api, const HttpRequest& request);
Result<HttpReply> delete_mcp(Api& api, const HttpRequest& request);

}  // namespace varve
