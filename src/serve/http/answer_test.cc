// Who may ask what: every route against every kind of key, Host and Origin.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "serve/http/server.h"

namespace varve {
namespace {

class Answers : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "varve-http-" + std::to_string(getpid());
    std::filesystem::remove_all(folder_);
    HomeOptions options;
    options.folder = folder_;
    auto home = Home::open(options);
    ASSERT_TRUE(home.ok()) << std::move(home).status().text();
    home_ = std::move(home).value();
    auto keys = Keys::open(posix_env(), folder_);
    ASSERT_TRUE(keys.ok());
    keys_ = std::move(keys).value();
    for (Access role : {Access::read, Access::write, Access::admin}) {
      auto secret = keys_->make({"p-" + std::string(to_string(role))}, role);
      ASSERT_TRUE(secret.ok());
      secrets_.push_back(*secret);
    }
  }
  void TearDown() override {
    home_.reset();
    std::filesystem::remove_all(folder_);
  }

  HttpReply ask(const std::string& method, const std::string& path, const std::string& key,
                const std::string& body = "") {
    Api api{*home_, counters_};
    Head head{.method = method,
              .host = "127.0.0.1:80",
              .content_type = "application/json",
              .has_body = !body.empty()};
    if (!key.empty()) head.authorization = "Bearer " + key;
    return answer(api, *keys_, options_, head, 80, {.method = method, .path = path, .body = body});
  }
  Json reply_json(const HttpReply& reply) {
    auto json = parse_json(reply.body);
    return json.ok() ? *json : Json();
  }

  std::string folder_;
  std::unique_ptr<Home> home_;
  std::unique_ptr<Keys> keys_;
  Counters counters_;
  ServerOptions options_;
  std::vector<std::string> secrets_;  // of read, write, admin
};

TEST_F(Answers, EveryRouteHoldsToItsAccess) {
  for (const Route& route : routes()) {
    std::string path(route.path);
    if (const size_t at = path.find("{id}"); at != std::string::npos)
      path.replace(at, 4, std::string(32, 'a'));
    for (int role = 0; role <= 3; ++role) {
      const HttpReply reply =
          ask(std::string(route.method), path, role == 0 ? "" : secrets_[size_t(role - 1)], "{}");
      const bool refused = reply.status == 401 || reply.status == 403;
      EXPECT_EQ(refused, role < int(route.access)) << route.method << " " << path << " role " << role;
    }
    const HttpReply wrong = ask(std::string(route.method), path, "vk-wrong", "{}");
    EXPECT_EQ(wrong.status == 401, route.access != Access::open) << path;
  }
}

TEST_F(Answers, ForeignHostsOriginsAndContentTypesAreRefused) {
  const auto status = [&](Head head) { return check_head(head, options_, 8080).code(); };
  for (const char* host : {"127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "localhost"}) {
    EXPECT_EQ(status({.host = host}), Code::ok) << host;
  }
  for (const char* host :
       {"", "evil.example:8080", "localhost.evil.example:8080", "127.0.0.1:9", "0.0.0.0:8080"}) {
    EXPECT_EQ(status({.host = host}), Code::denied) << host;
  }
  for (const char* origin :
       {"http://evil.example", "null", "https://localhost:8080", "http://localhost:9", "file://"}) {
    EXPECT_EQ(status({.host = "localhost:8080", .origin = origin}), Code::denied) << origin;
  }
  EXPECT_EQ(status({.host = "localhost:8080", .origin = "http://localhost:8080"}), Code::ok);
  for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}) {
    EXPECT_EQ(status({.host = "localhost:8080", .content_type = type, .has_body = true}), Code::invalid)
        << type;
  }
}

TEST_F(Answers, UnknownPathsAndMethodsAreTold) {
  EXPECT_EQ(ask("GET", "/nothing", secrets_[2]).status, 404);
  EXPECT_EQ(ask("GET", "/v1/memories/", secrets_[2]).status, 200);
  EXPECT_EQ(ask("DELETE", "/v1/models", secrets_[2]).status, 405);
  EXPECT_EQ(ask("GET", "/v1/memories/../../etc/passwd", secrets_[2]).status, 404);
}

TEST_F(Answers, AMemoryIsAddedFoundUpdatedAndErased) {
  const std::string& key = secrets_[1];
  const HttpReply added =
      ask("POST", "/v1/memories", key, R"({"text": "I am allergic to peanuts.", "event_at": "2024-05-08"})");
  ASSERT_EQ(added.status, 201) << added.body;
  const std::string id = reply_json(added)["id"].as_string();
  const HttpReply found = ask("POST", "/v1/memories/search", key, R"({"query": "peanut allergies?"})");
  ASSERT_EQ(found.status, 200) << found.body;
  ASSERT_EQ(reply_json(found)["data"].size(), 1u);
  EXPECT_EQ(reply_json(found)["data"].as_array()[0]["event_at"].as_string(), "2024-05-08T00:00:00Z");

  const HttpReply updated =
      ask("PUT", "/v1/memories/" + id, key, R"({"text": "Not peanuts: walnuts.", "version": 1})");
  EXPECT_EQ(updated.status, 200) << updated.body;
  EXPECT_EQ(ask("PUT", "/v1/memories/" + id, key, R"({"text": "stale", "version": 1})").status, 409);
  EXPECT_EQ(reply_json(ask("GET", "/v1/memories/" + id + "/history", key))["data"].size(), 2u);

  for (const std::string& other : {secrets_[0], secrets_[2]}) {
    EXPECT_EQ(ask("GET", "/v1/memories/" + id, other).status, 404);
    EXPECT_EQ(reply_json(ask("POST", "/v1/memories/search", other, R"({"query": "walnuts"})"))["data"].size(),
              0u);
  }
  const HttpReply erased = ask("DELETE", "/v1/memories/" + id, key);
  EXPECT_EQ(erased.status, 200) << erased.body;
  EXPECT_EQ(reply_json(erased)["erased"].size(), 1u);
  EXPECT_EQ(reply_json(ask("POST", "/v1/memories/search", key, R"({"query": "walnuts"})"))["data"].size(),
            0u);
}

// Each numeric field beside its range, and of every wrong kind.
TEST_F(Answers, AbsurdFieldsAreRefused) {
  const std::string chat = R"({"messages": [{"role": "user", "content": "hi"}], )";
  for (const char* field : {"temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty",
                            "max_tokens", "n", "top_logprobs", "repeat_penalty"}) {
    for (const char* value : {"-3", "1e308", "\"x\"", "[]", "{}", "true"}) {
      const HttpReply reply =
          ask("POST", "/v1/chat/completions", secrets_[1], chat + "\"" + field + "\": " + value + "}");
      EXPECT_EQ(reply.status, 400) << field << " " << value << " " << reply.body;
      EXPECT_NE(reply.body.find(field), std::string::npos) << reply.body;
    }
  }
  for (const char* body :
       {"", "{", "[]", "{\"messages\": []}", "{\"messages\": [{\"role\": \"user\"}, 3]}",
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"logit_bias\": {\"-1\": 2}}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"stop\": 4}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"response_format\": 4}"}) {
    EXPECT_EQ(ask("POST", "/v1/chat/completions", secrets_[1], body).status, 400) << body;
  }
  EXPECT_EQ(ask("GET", "/v1/memories", secrets_[1]).status, 200);
  Api api{*home_, counters_};
  const HttpReply odd =
      answer(api, *keys_, options_, {.host = "localhost", .authorization = "Bearer " + secrets_[1]}, 80,
             {.method = "GET", .path = "/v1/memories", .query = {{"limit", "-1"}}});
  EXPECT_EQ(odd.status, 400);
}

TEST_F(Answers, WithoutAModelChatAnswersFromMemoryAndCompletionsSayWhatIsMissing) {
  ASSERT_EQ(ask("POST", "/v1/memories", secrets_[1], R"({"text": "The cat is called Miso."})").status, 201);
  const HttpReply chat = ask("POST", "/v1/chat/completions", secrets_[1],
                             R"({"messages": [{"role": "user", "content": "What is the cat called?"}]})");
  ASSERT_EQ(chat.status, 200) << chat.body;
  EXPECT_NE(reply_json(chat)["choices"].as_array()[0]["message"]["content"].as_string().find("Miso"),
            std::string::npos);
  const HttpReply raw = ask("POST", "/v1/completions", secrets_[1], R"({"prompt": "x"})");
  EXPECT_EQ(raw.status, outside(Code::unsupported).http);
  EXPECT_NE(raw.body.find("--model"), std::string::npos);
}

TEST_F(Answers, MetricsCountRequestsByRouteAndNeverByWhatClientsWrote) {
  ask("GET", "/secret-path", secrets_[0]);
  ask("GET", "/health", "");
  const std::string text = ask("GET", "/metrics", secrets_[0]).body;
  EXPECT_NE(text.find("varve_http_requests_total{method=\"GET\",path=\"/health\",status=\"200\"} 1"),
            std::string::npos);
  EXPECT_EQ(text.find("secret-path"), std::string::npos);
  EXPECT_NE(text.find("varve_budget_bytes{what=\"limit\"}"), std::string::npos);
}

}  // namespace
}  // namespace varve
