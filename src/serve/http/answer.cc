// The part of the server that sees no socket: who may ask what, and what became of it.
#include <chrono>

#include "serve/http/server.h"

namespace varve {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  return out;
}

// "Name:123" and "[::1]:123" without the port; a port that is not `port` makes it empty.
std::string host_name(std::string_view host, int port) {
  const size_t colon = host.rfind(':');
  const bool bare_v6 = host.starts_with('[') && host.ends_with(']');
  if (colon == std::string_view::npos || bare_v6) return lower(host);
  return host.substr(colon + 1) == std::to_string(port) ? lower(host.substr(0, colon)) : std::string();
}

bool ours(const std::string& name, const ServerOptions& options) {
  if (name == "127.0.0.1" || name == "localhost" || name == "[::1]" || name == lower(options.address))
    return true;
  for (const std::string& one : options.hosts) {
    if (lower(one) == name) return true;
  }
  return false;
}

bool may_call(const std::string& origin, const ServerOptions& options, int port) {
  for (const std::string& one : options.origins) {
    if (lower(one) == lower(origin)) return true;
  }
  constexpr std::string_view scheme = "http://";
  return origin.starts_with(scheme) &&
         ours(host_name(std::string_view(origin).substr(scheme.size()), port), options);
}

Result<Key> who_asks(const Keys& keys, const ServerOptions& options, const Head& head, Access needed) {
  if (options.open || needed == Access::open) return Key{{}, {options.open_as}, Access::admin};
  const auto key = keys.find(bearer_of(head.authorization));
  if (!key)
    return Status(Code::denied, "a valid key is needed: Authorization: Bearer KEY (varve key add NAME)");
  if (key->role < needed) {
    return Status(Code::denied, "this key may only " + std::string(to_string(key->role)) +
                                    "; the request needs " + std::string(to_string(needed)));
  }
  return *key;
}

// The route that a request may take, its caller filled in.
Result<const Route*> admit(const Keys& keys, const ServerOptions& options, const Head& head, int port,
                           HttpRequest& request) {
  TRY(check_head(head, options, port));
  const Route* route = TRY(find_route(request));
  const Key key = TRY(who_asks(keys, options, head, route->access));
  request.who = key.who;
  request.role = key.role;
  return route;
}

// HTTP tells a missing key from a key that may not, and a wrong method from an unknown path.
HttpReply refusal(const Status& status, const Keys& keys, const ServerOptions& options, const Head& head,
                  int port) {
  int http = outside(status.code()).http;
  const bool known = keys.find(bearer_of(head.authorization)).has_value();
  if (status.code() == Code::denied && check_head(head, options, port).ok() && !known) http = 401;
  if (status.code() == Code::unsupported) http = 405;
  HttpReply reply = error_reply(status, http);
  if (http == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

}  // namespace

std::string bearer_of(std::string_view authorization) {
  for (const std::string_view scheme : {"bearer ", "token "}) {  // mem0's clients say the latter
    if (lower(authorization.substr(0, scheme.size())) == scheme)
      return std::string(authorization.substr(scheme.size()));
  }
  return {};
}

Status check_head(const Head& head, const ServerOptions& options, int port) {
  if (!ours(host_name(head.host, port), options)) {
    return Status(Code::denied, "the Host header names another machine; --allow-host adds a name");
  }
  if (!head.origin.empty() && !may_call(head.origin, options, port)) {
    return Status(Code::denied, "requests from this Origin are refused; --allow-origin adds one");
  }
  const std::string type = lower(head.content_type.substr(0, head.content_type.find(';')));
  if (head.has_body && type != "application/json" && type != "application/x-ndjson") {
    return Status(Code::invalid, "the body must be sent as Content-Type: application/json");
  }
  return {};
}

std::optional<HttpReply> refuse(const Keys& keys, const ServerOptions& options, const Head& head, int port,
                                HttpRequest request) {
  auto route = admit(keys, options, head, port, request);
  if (route.ok()) return std::nullopt;
  return refusal(std::move(route).status(), keys, options, head, port);
}

HttpReply answer(Api& api, const Keys& keys, const ServerOptions& options, const Head& head, int port,
                 HttpRequest request) {
  const auto start = std::chrono::steady_clock::now();
  std::string_view pattern = "refused";
  HttpReply reply;
  auto route = admit(keys, options, head, port, request);
  if (!route.ok()) {
    reply = refusal(std::move(route).status(), keys, options, head, port);
  } else {
    pattern = (*route)->path;
    auto answered = (*route)->answer(api, request);
    reply = answered.ok() ? std::move(answered).value() : error_reply(std::move(answered).status());
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  api.counters.request(request.method, pattern, reply.status, taken.count());
  return reply;
}

}  // namespace varve
