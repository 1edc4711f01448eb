// HttpServer: the routes on a socket. Loopback unless told otherwise; Host and Origin are checked on every
// request, so that no web page reaches it; keys are compared in constant time; bodies, headers and requests
// at once are bounded.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serve/http/counters.h"
#include "serve/http/http.h"
#include "serve/http/keys.h"

namespace varve {

struct ServerOptions {
  std::string address = "127.0.0.1";
  int port = 8080;      // 0: any free one
  bool expose = false;  // needed for an address that is not loopback
  bool open = false;    // no key: everybody is `open_as`; loopback only
  std::string open_as = "local";
  std::vector<std::string> hosts;    // further Host names that count as ours
  std::vector<std::string> origins;  // further Origins that may call
  int64_t max_body_bytes = 32 << 20;
  int workers = 64;  // requests at once; more wait
  int queue = 256;   // while more than these wait, requests get 429
};

// What is decided about a request before any route: a function of its head alone, so that it can be tested
// whole.
struct Head {
  std::string method, host, origin, content_type, authorization;
  bool has_body = false;
};
// ok, or denied (host, origin), invalid (content type).
Status check_head(const Head& head, const ServerOptions& options, int port);
std::string bearer_of(std::string_view authorization);  // the key of "Bearer KEY", or empty

// Why a request is refused whatever its body says; null when it may go on.
std::optional<HttpReply> refuse(const Keys& keys, const ServerOptions& options, const Head& head, int port,
                                HttpRequest request);
// Everything of a request behind the socket: route, key, role, answer, counters.
HttpReply answer(Api& api, const Keys& keys, const ServerOptions& options, const Head& head, int port,
                 HttpRequest request);

class HttpServer {
 public:
  virtual ~HttpServer() = default;  // stops
  virtual int port() const = 0;
  virtual void wait() = 0;  // until stop()
  virtual void stop() = 0;  // from any thread or a signal's thread; running answers end
};

// invalid: an address that is not loopback without `expose`, or `open` together with one. io: the port is
// taken.
Result<std::unique_ptr<HttpServer>> start_server(Api& api, const Keys& keys, const ServerOptions& options);

}  // namespace varve
