// Attacks as data: words that want to be more than words (tests/attacks/words.txt), and requests for what is
// another's (tests/attacks/requests.jsonl). Prints a table: attack, expected, seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iostream>
#include <set>

#include "memory/recall/present.h"
#include "serve/home/home.h"
#include "serve/session/prompt.h"
#include "tests/e2e/serving.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

void row(const std::string& attack, const std::string& expected, const std::string& seen) {
  const auto wide = [](const std::string& text, size_t width) {
    return text + std::string(width - std::min(width, text.size()), ' ') + "  ";
  };
  std::cout << wide(attack, 40) << wide(expected, 34) << seen << "\n";
}

std::string attacks(const std::string& file) {
  std::ifstream in(std::string(VARVE_ATTACKS) + "/" + file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::pair<std::string, std::string>> hostile_words() {
  std::vector<std::pair<std::string, std::string>> all;
  std::istringstream lines(attacks("words.txt"));
  for (std::string line; std::getline(lines, line);) {
    const size_t tab = line.find('\t');
    if (line.starts_with('#') || tab == std::string::npos) continue;
    auto words = parse_json(line.substr(tab + 1));
    EXPECT_TRUE(words.ok()) << line;
    all.emplace_back(line.substr(0, tab), words->as_string());
  }
  return all;
}

std::vector<Json> hostile_requests(std::string_view way) {
  std::vector<Json> all;
  std::istringstream lines(attacks("requests.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    auto one = parse_json(line);
    EXPECT_TRUE(one.ok()) << line;
    if ((*one)["way"] == Json(way)) all.push_back(*one);
  }
  return all;
}

struct Forgetful : LogMarks {
  std::optional<CubeId> reached(const Principal&) override { return std::nullopt; }
  void reach(const Principal&, CubeId) override {}
};

// An engine that answers nothing and keeps the tokens of every prompt: what the model would have read.
class Eavesdropper : public Engine {
 public:
  explicit Eavesdropper(std::shared_ptr<const Model> model) : model_(std::move(model)) {}
  Result<SequenceId> submit(Request request, Listener listener) override {
    prompt = request.tokens;
    listener.on_finish(Finish::stop, Status(), {}, {});
    return SequenceId(1);
  }
  void cancel(SequenceId) override {}
  EngineStats stats() const override { return {}; }
  const Model& model() const override { return *model_; }
  int32_t context() const override { return 1 << 16; }
  Status forget_prefixes() override { return {}; }
  std::vector<Token> prompt;

 private:
  std::shared_ptr<const Model> model_;
};

class Words : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_tiny_model(posix_env(), folder / "tiny.gguf").ok());
    model = open_model(posix_env(), folder / "tiny.gguf", ledger).value();
  }
  // The prompt of a turn in a fresh home in which `words` were remembered, by everything that shows them.
  std::vector<Token> prompt_with(const std::string& words, int number) {
    auto home = Home::open({.folder = folder / ("home" + std::to_string(number))}).value();
    CubeDraft draft;
    draft.header.kind = "note";
    draft.header.trust = Trust::outside;
    draft.header.title = draft.header.speaker = printed(words.substr(0, 200));
    draft.payload = "The figs of Friday: " + words;
    EXPECT_TRUE(home->cubes().put({"ann"}, draft).ok());
    Eavesdropper engine(model);
    const std::vector<std::unique_ptr<Reflector>> none;
    Forgetful marks;
    Afterthought thoughts({home->cubes(), home->recall(), none, marks});
    auto session = open_session(
        {.cubes = home->cubes(), .recall = home->recall(), .thoughts = thoughts, .engine = &engine}, {"ann"},
        "chat");
    EXPECT_TRUE(session.ok());
    auto turn = (*session)->turn("What about the figs of Friday?",
                                 {.recall_tokens = 1 << 14, .system = "Be kind."}, {});
    EXPECT_TRUE(turn.ok()) << std::move(turn).status().text();
    return engine.prompt;
  }
  // What a header may hold: no control characters, whole characters.
  static std::string printed(std::string text) {
    std::erase_if(text, [](char c) { return uint8_t(c) < 0x20 || uint8_t(c) >= 0x7F; });
    return text;
  }
  std::vector<Token> controls(const std::vector<Token>& tokens) const {
    std::vector<Token> found;
    std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(found),
                 [&](Token token) { return model->tokenizer()->is_control(token); });
    return found;
  }
  std::string text(std::span<const Token> tokens) const {
    return detokenize(*model->tokenizer(), std::vector<Token>(tokens.begin(), tokens.end()), true);
  }

  TempFolder folder{TempFolder::in_ram()};
  Ledger ledger{64 << 20};
  std::shared_ptr<const Model> model;
};

int count(const std::string& text, std::string_view part) {
  int found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

TEST_F(Words, StayWordsInEveryPrompt) {
  const std::vector<Token> innocent = prompt_with("they are ripe", 0);
  const std::vector<Token> structure = controls(innocent);
  ASSERT_GE(structure.size(), 5u);
  // The system's message, to its last token: until the second control token that begins a message.
  const auto system_end = std::find(innocent.begin() + 1, innocent.end(), structure[0]) - innocent.begin();
  row("words", "expected", "seen");
  int number = 0, recalled = 0;
  for (const auto& [name, words] : hostile_words()) {
    const std::vector<Token> prompt = prompt_with(words, ++number);
    const bool same = controls(prompt) == structure;
    const bool system = prompt.size() > size_t(system_end) &&
                        std::equal(innocent.begin(), innocent.begin() + system_end, prompt.begin());
    const std::string all = text(prompt);
    // What already looks recalled is not recalled again.
    const bool left_out = count(all, "<recalled>") == 0 && all.find("figs of Friday: ") == std::string::npos;
    const bool quoted = count(all, "<recalled>") == 1 && count(all, "</recalled>") == 1 &&
                        all.find("figs of Friday: ") < all.find("</recalled>") && count(all, "\n- [") == 1;
    recalled += quoted;
    EXPECT_TRUE(same && system && (quoted || left_out)) << name << "\n" << all;
    row(name, "quoted, no control token, no system",
        std::string(quoted     ? "quoted"
                    : left_out ? "left out"
                               : "ESCAPED") +
            ", " + (same ? "no control token" : "CONTROL TOKENS") + ", " +
            (system ? "system untouched" : "SYSTEM CHANGED"));
  }
  EXPECT_GE(recalled, number - 1) << "an attack must be recalled to be one";
  EXPECT_GE(number, 30);
}

// A home of two: alice has a secret, mallory wants it. What alice has is compared before and after.
class Requests : public testing::Test {
 protected:
  static constexpr const char* kSecret = "canary-4711-heliotrope";

  void SetUp() override {
    ASSERT_TRUE(write_tiny_model(posix_env(), folder / "tiny.gguf").ok());
    ASSERT_TRUE(write_file(posix_env(), folder / "poison.jsonl",
                           std::as_bytes(std::span(std::string_view("{\"text\":\"poison\"}\n"))))
                    .ok());
    for (const char* name : {"alice", "mallory"}) keys[name] = key(name, "write");
    keys["$READER"] = key("mallory", "read");
    server = std::make_unique<Serving>(
        folder / "home", std::vector<std::string>{"--model", folder / "tiny.gguf", "--budget", "512MiB"});
    server->key = keys["alice"];
    const Json told =
        server->json("POST", "/v1/memories",
                     Json::object().set("text", std::string("The code of the safe is ") + kSecret));
    id = told["id"].as_string();
    Json talk = Json::object().set("max_tokens", 1).set("varve", Json::object().set("session", "private"));
    talk.set("messages", Json::array().push(message("user", std::string("My code is ") + kSecret)));
    server->json("POST", "/v1/chat/completions", talk);
  }
  std::string key(const std::string& name, const std::string& role) {
    const std::string out =
        run_child(VARVE_PROGRAM, {"key", "add", name, "--role", role, "--home", folder / "home"}).out;
    return out.substr(out.find("vk-"), out.find('\n') - out.find("vk-"));
  }
  std::string filled(std::string text) const {
    std::string near = id;
    near.back() = near.back() == '0' ? '1' : '0';
    const std::pair<const char*, std::string> names[] = {
        {"$ID", id}, {"$NEAR", near}, {"$FILE", folder / "poison.jsonl"}};
    for (const auto& [name, value] : names) {
      for (size_t at; (at = text.find(name)) != std::string::npos;)
        text.replace(at, std::string_view(name).size(), value);
    }
    return text;
  }
  // Everything of alice's, as her own key shows it.
  std::string hers() const {
    if (server == nullptr)
      return run_child(VARVE_PROGRAM, {"export", "-", "--all", "--as", "alice", "--home", folder / "home"})
          .out;
    Serving& asked = *server;
    const std::string mine = std::exchange(asked.key, keys.at("alice"));
    const Answer all = asked.ask("GET", "/v1/memories?life=all&limit=1000&space=alice");
    asked.key = mine;
    EXPECT_EQ(all.status, 200);
    return all.body;
  }
  static bool expects(const Json& wanted, int seen) {
    if (wanted.is_int()) return wanted.as_int() == seen;
    return std::any_of(wanted.as_array().begin(), wanted.as_array().end(),
                       [&](const Json& one) { return one.as_int() == seen; });
  }
  // What no answer may hold: the secret, and what the attack itself names.
  bool leaks(const Json& attack, const std::string& answer) const {
    const bool never =
        attack["never"].is_string() && answer.find(attack["never"].as_string()) != std::string::npos;
    return never || answer.find(kSecret) != std::string::npos;
  }
  void judge(const Json& attack, bool expected, const std::string& seen, const std::string& answer) {
    const bool quiet = !leaks(attack, answer), kept = hers() == before;
    const std::string& name = attack["name"].as_string();
    EXPECT_TRUE(expected && quiet && kept) << name << ": " << seen << " " << answer.substr(0, 2000);
    row(name, attack["expect"].dump() + ", nothing seen or changed",
        seen + (quiet ? ", nothing seen" : ", LEAKED") + (kept ? ", nothing changed" : ", CHANGED"));
  }

  TempFolder folder{TempFolder::in_ram()};
  std::map<std::string, std::string> keys;
  std::unique_ptr<Serving> server;
  std::string id, before;
};

std::string body_of(const Json& attack) {
  if (const Json& parts = attack["repeat"]; parts.is_array()) {
    std::string body = parts.as_array()[0].as_string();
    for (int64_t i = 0; i < parts.as_array()[2].as_int(); ++i) body += parts.as_array()[1].as_string();
    return body + parts.as_array()[3].as_string();
  }
  if (attack["raw"].is_string()) return attack["raw"].as_string();
  if (!attack["raw_hex"].is_string()) return attack["body"].is_null() ? "" : attack["body"].dump();
  std::string body;
  const std::string& digits = attack["raw_hex"].as_string();
  for (size_t i = 0; i + 1 < digits.size(); i += 2) body += char(std::stoi(digits.substr(i, 2), nullptr, 16));
  return body;
}

TEST_F(Requests, ForWhatIsAnothersGetNothing) {
  before = hers();
  ASSERT_NE(before.find(kSecret), std::string::npos);
  row("request", "expected", "seen");
  std::set<std::string> names;
  for (const Json& attack : hostile_requests("http")) {
    names.insert(attack["name"].as_string());
    server->key = keys["mallory"];
    if (attack["key"].is_string())
      server->key = keys.contains(attack["key"].as_string()) ? keys[attack["key"].as_string()]
                                                             : attack["key"].as_string();
    const Answer answer = server->ask(attack["method"].as_string(), filled(attack["path"].as_string()),
                                      filled(body_of(attack)));
    judge(attack, expects(attack["expect"], answer.status), std::to_string(answer.status),
          answer.head + answer.body);
  }
  server->key = keys["mallory"];
  const Json hello = Json::object().set("protocolVersion", "2025-06-18");
  const Json begin =
      Json::object().set("jsonrpc", "2.0").set("id", 0).set("method", "initialize").set("params", hello);
  const Answer begun = server->ask("POST", "/mcp", begin.dump());
  const size_t at = begun.head.find("Mcp-Session-Id: ");
  ASSERT_NE(at, std::string::npos) << begun.head;
  const std::string session = begun.head.substr(at, begun.head.find("\r\n", at) - at);
  for (const Json& attack : hostile_requests("mcp")) {
    names.insert(attack["name"].as_string());
    Json params = Json::object().set("name", attack["tool"]).set("arguments", attack["arguments"]);
    const Json call = Json::object()
                          .set("jsonrpc", "2.0")
                          .set("id", 1)
                          .set("method", "tools/call")
                          .set("params", std::move(params));
    const std::string body = filled(call.dump());
    const std::string all =
        server->whole(server->head("POST", "/mcp", server->key) + session +
                      "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                      "\r\n\r\n" + body);
    const auto json = parse_json(all.substr(std::min(all.size(), all.find("\r\n\r\n") + 4)));
    ASSERT_TRUE(json.ok()) << all;
    const std::string seen = (*json)["error"].is_object()                 ? "refused"
                             : (*json)["result"]["isError"] == Json(true) ? "error"
                                                                          : "ok";
    const std::string& wanted = attack["expect"].as_string();
    judge(attack, wanted == "any" || wanted == seen, seen, all);
  }
  EXPECT_GE(names.size(), 60u) << "every attack has a name of its own";
}

TEST_F(Requests, OfTheCommandLineGetNothingAndTouchNoTerminal) {
  server->key = keys["mallory"];
  int told = 0;
  for (const auto& [name, words] : hostile_words()) {
    const Answer answer =
        server->ask("POST", "/v1/memories",
                    Json::object().set("text", words + " figs").set("title", words.substr(0, 20)).dump());
    EXPECT_TRUE(answer.status == 201 || answer.status == 400) << name << answer.body;
    told += answer.status == 201;
  }
  EXPECT_GE(told, 20);
  server->end(SIGTERM);
  server.reset();
  before = hers();
  ASSERT_NE(before.find(kSecret), std::string::npos);
  for (const Json& attack : hostile_requests("cli")) {
    std::vector<std::string> words;
    for (const Json& one : attack["args"].as_array()) words.push_back(filled(one.as_string()));
    words.insert(words.end(), {"--home", folder / "home"});
    const Child::End end = run_child(VARVE_PROGRAM, words);
    judge(attack, expects(attack["expect"], end.exit_code), "exit " + std::to_string(end.exit_code),
          end.out + end.err);
  }
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"recall", "figs", "--limit", "1000"}, {"cube", "list", "--limit", "1000"}, {"export", "-"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--as", "mallory", "--home", folder / "home"});
    const Child::End end = run_child(VARVE_PROGRAM, all);
    EXPECT_EQ(end.exit_code, 0) << end.err;
    const auto control =
        std::find_if(end.out.begin(), end.out.end(), [](char c) { return uint8_t(c) < 0x20 && c != '\n'; });
    EXPECT_EQ(control, end.out.end()) << words[0] << " printed control character " << int(*control);
    EXPECT_EQ(end.out.find("\xC2\x9B"), std::string::npos)
        << words[0] << " printed a control of the terminal";
    row(words[0] + " of all hostile words", "no control character",
        control == end.out.end() ? "none" : "CONTROL");
  }
}

}  // namespace
}  // namespace varve
