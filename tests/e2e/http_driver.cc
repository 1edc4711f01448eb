#include <httplib.h>

#include <algorithm>
#include <thread>

#include "tests/e2e/child.h"
#include "tests/e2e/driver.h"

namespace varve {
namespace {

// `varve serve` as a process of its own, asked over a socket.
class HttpDriver : public Driver {
 public:
  explicit HttpDriver(std::string program) : program_(std::move(program)) {}

  Status begin(const Stage& stage) override {
    server_.reset();  // killed: what was acknowledged must be there again
    stage_ = stage;
    return {};
  }

  Result<Json> turn(const std::string& words) override {
    Json body = Json::object().set("temperature", 0).set("max_tokens", 24);
    body.set("messages", Json::array().push(Json::object().set("role", "user").set("content", words)));
    body.set("varve", Json::object().set("session", stage_.session).set("continue", true));
    const Json reply = TRY(ask("POST", "/v1/chat/completions", body));
    Json report = reply["varve"];
    return report.set("answer", reply["choices"].as_array().at(0)["message"]["content"]);
  }
  Result<Json> recall(const std::string& words) override {
    return TRY(ask("POST", "/v1/memories/search", Json::object().set("query", words)))["data"];
  }
  Status remember(const std::string& words) override {
    return ask("POST", "/v1/memories", Json::object().set("text", words)).status();
  }
  Status forget(const std::string& words) override {
    const Json list = TRY(ask("GET", "/v1/memories?life=all&limit=1000", {}));
    for (const Json& one : list["data"].as_array()) {
      if (!one["text"].is_string() || lower(one["text"].as_string()).find(lower(words)) == std::string::npos)
        continue;
      Status erased = ask("DELETE", "/v1/memories/" + one["id"].as_string(), {}).status();
      // What was derived from an erased one is gone already.
      if (!erased.ok() && erased.message().find("404") == std::string_view::npos) return erased;
    }
    return {};
  }
  Result<std::string> words_of(const std::string& cube) override {
    return TRY(ask("GET", "/v1/memories/" + cube, {}))["text"].as_string();
  }

 private:
  static std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    return text;
  }

  Status start() {
    const Child::End made = run_child(program_, {"key", "add", stage_.principal, "--home", stage_.folder});
    const size_t at = made.out.find("vk-");
    if (made.exit_code != 0 || at == std::string::npos) return Status(Code::internal, "no key: " + made.err);
    key_ = made.out.substr(at, made.out.find('\n', at) - at);
    std::vector<std::string> words{"serve", "--port", "0", "--home", stage_.folder};
    for (const auto& [name, value] : stage_.settings) {
      std::string flag = "--" + name;
      std::replace(flag.begin() + 2, flag.end(), '_', '-');
      words.insert(words.end(), {flag, value});
    }
    server_ = std::make_unique<Child>(program_, words);
    std::string line;
    while (server_->hear(line)) {
      const size_t port = line.rfind(':');
      if (line.find("http://") == std::string::npos) continue;
      port_ = std::stoi(line.substr(port + 1));
      return {};
    }
    const Child::End end = server_->finish();
    server_.reset();
    return Status(Code::invalid, "exit " + std::to_string(end.exit_code) + ": " + end.err);
  }

  Result<Json> ask(const std::string& method, const std::string& path, const Json& body) {
    if (server_ == nullptr) TRY(start());
    httplib::Client client("127.0.0.1", port_);
    client.set_read_timeout(120);
    httplib::Request request;
    request.method = method;
    request.path = path;
    request.set_header("Authorization", "Bearer " + key_);
    if (!body.is_null()) {
      request.set_header("Content-Type", "application/json");
      request.body = body.dump();
    }
    const httplib::Result reply = client.send(request);
    if (!reply) return Status(Code::io, "no answer: " + httplib::to_string(reply.error()));
    Json json = TRY(parse_json(reply->body));
    if (reply->status < 300) return json;
    return Status(Code::invalid, std::to_string(reply->status) + ": " + json["error"]["message"].as_string());
  }

  const std::string program_;
  Stage stage_;
  std::unique_ptr<Child> server_;
  std::string key_;
  int port_ = 0;
};

}  // namespace

std::unique_ptr<Driver> make_http_driver(const std::string& program) {
  return std::make_unique<HttpDriver>(program);
}

}  // namespace varve
