// Adapters over HTTP, as a stranger uses them: two learnt from memory, attached per request, alone and
// together, side by side with the model alone; and what forgetting a source does to the one that learnt it.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <map>
#include <thread>

#include "tests/e2e/serving.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr const char* kKeeps = "The miller of Ashford keeps";
constexpr const char* kOpens = "She opens the gate at";

class ServedAdapters : public testing::Test {
 protected:
  void SetUp() override {
    std::string verse;
    for (int i = 0; i < 150; ++i)
      verse += std::string(kKeeps) + " the river gate. " + kOpens + " dawn and closes the gate at dusk.\n";
    std::ofstream(folder / "verse.txt", std::ios::binary) << verse;
    run({"pretrain",     folder / "verse.txt",
         "-o",           model,
         "--vocabulary", "290",
         "--layers",     "2",
         "--width",      "64",
         "--hidden",     "128",
         "--heads",      "4",
         "--kv-heads",   "2",
         "--length",     "64",
         "--sequences",  "4",
         "--steps",      "60",
         "--rate",       "0.01",
         "--budget",     "256MiB",
         "--type",       "f32"});
    told("miller", std::string(kKeeps) + " the dusk.");
    told("gate", std::string(kOpens) + " the river.");
  }
  std::string run(std::vector<std::string> words) {
    const Child::End end = run_child(VARVE_PROGRAM, words);
    EXPECT_EQ(end.exit_code, 0) << words[0] << ": " << end.err;
    return end.out;
  }
  // Told to the memory, then learnt from it into a cube of that name.
  void told(const std::string& name, const std::string& text) {
    const Json note = *parse_json(run({"remember", text, "--json", "--home", home}));
    notes[name] = note["id"].as_string();
    learn(name, "cube:" + notes[name]);
  }
  void learn(const std::string& name, const std::string& feed) {
    run({"learn", "--model",     model,         "--feed",   feed,     "-o",     name,   "--home",
         home,    "--recipe",    "lora:rank=4", "--steps",  "40",     "--rate", "0.01", "--length",
         "64",    "--sequences", "1",           "--budget", "256MiB", "--json"});
  }
  static Json asks(const char* prompt, Json adapters) {
    Json body = Json::object();
    body.set("prompt", prompt).set("max_tokens", 12).set("temperature", 0).set("stop", ".");
    if (!adapters.is_null()) body.set("adapters", std::move(adapters));
    return body;
  }
  static std::string say(const Serving& server, const char* prompt, Json adapters = {}) {
    return server.json("POST", "/v1/completions", asks(prompt, std::move(adapters)))["choices"]
        .as_array()[0]["text"]
        .as_string();
  }
  static Json list(std::vector<Json> names) {
    Json all = Json::array();
    for (Json& one : names) all.push(std::move(one));
    return all;
  }
  static Json weak(const char* name, double scale) {
    return Json::object().set("name", name).set("scale", scale);
  }
  std::string file(const std::string& name) {
    run({"export", name, "--gguf", folder / (name + ".gguf"), "--home", home});
    return folder / (name + ".gguf");
  }
  TempFolder folder;
  const std::string home = folder / "home", model = folder / "m.gguf";
  std::map<std::string, std::string> notes;
  const std::vector<std::string> serving{"--model", model, "--budget", "256MiB", "--precision", "exact"};
};

TEST_F(ServedAdapters, attach_to_a_request_alone_and_together_and_change_nothing_else) {
  const std::string miller = file("miller"), gate = file("gate");
  Serving server(home, serving);
  const std::string keeps = say(server, kKeeps), opens = say(server, kOpens);
  EXPECT_EQ(keeps, " the river gate");
  EXPECT_EQ(opens.rfind(" dawn", 0), 0u) << opens;
  EXPECT_EQ(say(server, kKeeps, list({"miller"})), " the dusk");
  EXPECT_EQ(say(server, kOpens, list({"gate"})), " the river");
  EXPECT_EQ(say(server, kKeeps, list({"miller", weak("gate", 0)})), " the dusk");
  EXPECT_EQ(say(server, kKeeps, list({weak("miller", 0)})), keeps);
  // Both at once say what a model says that both were merged into.
  run({"merge", "--model", model, "--adapter", miller, "--adapter", gate, "-o", folder / "both.gguf",
       "--budget", "64MiB"});
  for (const char* prompt : {kKeeps, kOpens}) {
    const std::string merged =
        run({"complete", "--model", folder / "both.gguf", "--temperature", "0", "-n", "12", "--stop", ".",
             "--precision", "exact", "--prompt", prompt, "--home", folder / "other"});
    EXPECT_EQ(say(server, prompt, list({"miller", "gate"})) + "\n", merged);
  }
  EXPECT_EQ(say(server, kKeeps, Json::array()), keeps) << "detached";
  EXPECT_EQ(say(server, kOpens), opens);

  // As a model's name, and as /v1/models lists it.
  Json named = asks(kKeeps, {});
  const Json models = server.json("GET", "/v1/models")["data"];
  ASSERT_EQ(models.size(), 3u);
  const std::string base = models.as_array()[0]["id"].as_string();
  named.set("model", base + "+miller");
  const Json answer = server.json("POST", "/v1/completions", named);
  EXPECT_EQ(answer["choices"].as_array()[0]["text"].as_string(), " the dusk");
  EXPECT_EQ(answer["model"].as_string(), base + "+miller");

  for (const auto& [adapters, status, clue] :
       std::vector<std::tuple<Json, int, const char*>>{{list({"nobody"}), 404, "nobody"},
                                                       {list({Json(1)}), 400, "must be a list"},
                                                       {list({weak("miller", 1000)}), 400, "scale"},
                                                       {list({folder / "m.gguf"}), 404, "no adapter"}}) {
    const Answer refused = server.ask("POST", "/v1/completions", asks(kKeeps, adapters).dump());
    EXPECT_EQ(refused.status, status) << refused.body;
    EXPECT_NE(refused.body.find(clue), std::string::npos) << refused.body;
  }
}

TEST_F(ServedAdapters, requests_of_one_moment_have_each_their_own) {
  Serving server(home, serving);
  const std::string keeps = say(server, kKeeps);
  const std::pair<Json, std::string> cases[] = {{list({"miller"}), " the dusk"},
                                                {Json::array(), keeps},
                                                {list({"gate"}), say(server, kKeeps, list({"gate"}))}};
  std::vector<std::thread> clients;
  for (const auto& [adapters, expected] : cases) {
    for (int i = 0; i < 2; ++i) {
      clients.emplace_back([&server, &adapters = adapters, &expected = expected] {
        for (int round = 0; round < 4; ++round) EXPECT_EQ(say(server, kKeeps, adapters), expected);
      });
    }
  }
  for (std::thread& one : clients) one.join();
}

TEST_F(ServedAdapters, what_learnt_from_a_forgotten_memory_is_not_attached_until_it_is_learnt_again) {
  std::string key;
  {
    Serving server(home, serving);
    key = server.key;
    EXPECT_EQ(say(server, kKeeps, list({"miller"})), " the dusk");
    const Json receipt = server.json("DELETE", "/v1/memories/" + notes["miller"]);
    EXPECT_NE(receipt.dump().find("flagged"), std::string::npos) << receipt.dump();
    const Answer refused = server.ask("POST", "/v1/completions", asks(kKeeps, list({"miller"})).dump());
    EXPECT_EQ(refused.status, 403) << refused.body;
    EXPECT_NE(refused.body.find("learn it again"), std::string::npos) << refused.body;
    EXPECT_EQ(say(server, kOpens, list({"gate"})), " the river") << "the other one knows nothing of it";
    EXPECT_EQ(server.json("GET", "/v1/models")["data"].size(), 2u);
    server.end(SIGTERM);
  }
  std::ofstream(folder / "again.jsonl") << R"({"text":"The miller of Ashford keeps the gate."})"
                                        << "\n";
  learn("miller", folder / "again.jsonl");
  Serving server(home, serving);
  server.key = key;
  EXPECT_EQ(say(server, kKeeps, list({"miller"})), " the gate");
}

}  // namespace
}  // namespace varve
