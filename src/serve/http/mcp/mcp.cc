// /mcp: the Model Context Protocol's streamable HTTP. A response is JSON, or an event stream when something
// is said before it. There is nothing to say unasked, so GET has no stream: 405, as the protocol wants it.
#include "serve/http/http.h"
#include "serve/mcp/peer.h"

namespace varve {
namespace {

constexpr std::string_view kSession = "mcp-session-id", kVersion = "mcp-protocol-version";

std::string header_of(const HttpRequest& request, std::string_view name) {
  const auto found = request.headers.find(std::string(name));
  return found == request.headers.end() ? std::string() : found->second;
}

HttpReply refused(int status, int code, std::string_view why) {
  return json_reply(mcp_error({}, code, why), status);
}

bool accepts(const HttpRequest& request, std::string_view type) {
  const std::string accept = header_of(request, "accept");
  return accept.empty() || accept.find(type) != std::string::npos || accept.find("*/*") != std::string::npos;
}

HttpReply reply_of(const HttpRequest& request, std::vector<Json> messages) {
  if (messages.empty()) return {.status = 202, .body = ""};
  const bool stream = accepts(request, "text/event-stream");
  const bool whole = accepts(request, "application/json");
  if ((messages.size() == 1 || !stream) && whole) return json_reply(messages.back());
  std::string events;
  for (const Json& one : messages) events += "event: message\n" + event(one);
  return {.type = "text/event-stream", .body = std::move(events)};
}

HttpReply begin(Api& api, const McpCaller& caller, const HttpRequest& request, const Json& message) {
  McpState state;
  std::vector<Json> messages = mcp_answer(caller, state, message);
  const bool agreed = !state.version.empty();
  HttpReply reply = reply_of(request, std::move(messages));
  if (agreed) reply.headers.emplace_back("Mcp-Session-Id", api.mcp.begin(request.who, std::move(state)));
  return reply;
}

}  // namespace

Result<HttpReply> post_mcp(Api& api, const HttpRequest& request) {
  if (!accepts(request, "application/json") && !accepts(request, "text/event-stream"))
    return refused(406, kInvalidRequest, "accept application/json and text/event-stream");
  const std::string version = header_of(request, kVersion);
  if (!version.empty() && !mcp_knows_version(version))
    return refused(400, kInvalidRequest, "this MCP-Protocol-Version is not known here");
  auto parsed = parse_json(request.body);
  if (!parsed.ok()) return refused(400, kParseError, std::move(parsed).status().message());
  const Json message = std::move(parsed).value();
  const McpCaller caller{api.home, request.who, request.role >= Access::write};
  if (mcp_is_initialize(message)) return begin(api, caller, request, message);
  const std::string session = header_of(request, kSession);
  if (session.empty()) return refused(400, kInvalidRequest, "the Mcp-Session-Id header is missing");
  std::vector<Json> messages;
  const bool known = api.mcp.with(session, request.who,
                                  [&](McpState& state) { messages = mcp_answer(caller, state, message); });
  if (!known) return refused(404, kInvalidRequest, "there is no such session; send initialize again");
  return reply_of(request, std::move(messages));
}

Result<HttpReply> delete_mcp(Api& api, const HttpRequest& request) {
  if (!api.mcp.end(header_of(request, kSession), request.who))
    return refused(404, kInvalidRequest, "there is no such session");
  return HttpReply{.status = 204, .body = ""};
}

}  // namespace varve
