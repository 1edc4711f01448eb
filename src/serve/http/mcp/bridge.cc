#include "serve/http/mcp/bridge.h"

#include <httplib.h>

#include "serve/mcp/peer.h"

namespace varve {
namespace {

constexpr int kConnectSeconds = 10, kAnswerSeconds = 600;

// The data of server-sent events, or the body as it is.
std::vector<std::string> lines_of(const httplib::Response& reply) {
  std::vector<std::string> lines;
  const bool events = reply.get_header_value("Content-Type").starts_with("text/event-stream");
  for (std::string_view rest = reply.body; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    constexpr std::string_view mark = "data: ";
    if (events && !line.starts_with(mark)) continue;
    if (events) line.remove_prefix(mark.size());
    if (!line.empty()) lines.emplace_back(line);
  }
  return lines;
}

class Bridge : public McpBridge {
 public:
  Bridge(const std::string& url, const std::string& key) : http_(url) {
    http_.set_keep_alive(true);
    http_.set_tcp_nodelay(true);
    http_.set_connection_timeout(kConnectSeconds);
    http_.set_read_timeout(kAnswerSeconds);
    fixed_ = {{"Authorization", "Bearer " + key}, {"Accept", "application/json, text/event-stream"}};
  }
  ~Bridge() override {
    if (!session_.empty()) http_.Delete("/mcp", headers());
  }

  std::vector<std::string> answer(const std::string& message) override {
    auto parsed = parse_json(message);
    const Json asked = parsed.ok() ? std::move(parsed).value() : Json();
    const bool first = mcp_is_initialize(asked);
    if (first) hello_ = message;
    auto reply = send(message, first);
    if (reply && reply->status == 404 && !first && !hello_.empty() && send(hello_, true))
      reply = send(message, false);
    if (!reply) return failed(asked, "no server answers; is 'varve serve' running there?");
    if (reply->status < 300) return lines_of(*reply);
    auto said = parse_json(reply->body);
    const Json words = said.ok() ? (*said)["error"]["message"] : Json();
    return failed(asked, words.is_string() ? words.as_string()
                                           : "the server answered " + std::to_string(reply->status));
  }

 private:
  httplib::Headers headers() const {
    httplib::Headers all = fixed_;
    if (!session_.empty()) all.emplace("Mcp-Session-Id", session_);
    return all;
  }

  httplib::Result send(const std::string& message, bool first) {
    if (first) session_.clear();
    auto reply = http_.Post("/mcp", headers(), message, "application/json");
    if (first && reply) session_ = reply->get_header_value("Mcp-Session-Id");
    return reply;
  }

  // Of a request; a notification has no answer.
  static std::vector<std::string> failed(const Json& asked, const std::string& why) {
    if (asked.is_object() && asked.find("id") == nullptr) return {};
    return {mcp_error(asked["id"], kInternalError, why).dump()};
  }

  httplib::Client http_;
  httplib::Headers fixed_;
  std::string session_, hello_;
};

}  // namespace

Result<std::unique_ptr<McpBridge>> McpBridge::open(const std::string& url, const std::string& key) {
  const size_t host = url.find("://");
  const bool known = url.starts_with("http://") || url.starts_with("https://");
  if (!known || url.find_first_of("/ \t\r\n", host + 3) < url.size() - 1)
    return Status(Code::invalid, "a server is named as http://127.0.0.1:8080");
  if (key.find_first_of(" \t\r\n") != std::string::npos || key.empty())
    return Status(Code::invalid, "a key is one word, as 'varve key add' shows it");
  return std::unique_ptr<McpBridge>(
      std::make_unique<Bridge>(url.ends_with('/') ? url.substr(0, url.size() - 1) : url, key));
}

}  // namespace varve
