// Attention state as a user meets it: recipes on the command line and over HTTP, the profile of heads,
// captures, and what is said of all that afterwards.
#include <gtest/gtest.h>

#include <csignal>

#include <fstream>

#include "core/format/json.h"
#include "tests/e2e/child.h"
#include "tests/e2e/serving.h"
#include "tests/support/shared.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

class Activation : public testing::Test {
 protected:
  Child::End run(std::vector<std::string> words, const std::string& input = "") {
    words.insert(words.end(), {"--home", folder / "home"});
    return run_child(VARVE_PROGRAM, words, input);
  }
  static std::string made(const TempFolder& in) {
    const std::string path = in / "tiny.gguf";
    EXPECT_TRUE(write_tiny_model(posix_env(), path, {.width = 128}).ok());
    return path;
  }
  // The report of one turn whose prompt has many hundred tokens.
  Json turn(const std::string& kv, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"chat", "--json", "--model",       model, "--kv",         kv,
                                   "-n",   "8",      "--temperature", "0",   "--no-remember"};
    words.insert(words.end(), more.begin(), more.end());
    const Child::End end = run(words, long_words() + "\n");
    EXPECT_EQ(end.exit_code, 0) << kv << ": " << end.err;
    auto report = parse_json(end.out.substr(0, end.out.find('\n')));
    EXPECT_TRUE(report.ok()) << kv << ": " << end.out;
    return report.ok() ? *report : Json();
  }
  static std::string long_words() {
    std::string words;
    for (int i = 0; i < 40; ++i) words += "The harbour has " + std::to_string(i) + " boats. ";
    return words;
  }

  TempFolder folder;
  const std::string model = made(folder);
};

TEST_F(Activation, a_policy_drops_what_it_must_and_says_so) {
  const Json full = turn("policy=full");
  EXPECT_TRUE(full["kv_entries"].is_null()) << full.dump();
  EXPECT_GT(full["kv"]["pages"]["rows"].as_int(), 4 * 8) << full.dump();
  const Json some = turn("policy=streaming:sinks=4 budget_tokens=128");
  EXPECT_GT(some["kv_entries"]["dropped"].as_int(), 0) << some.dump();
  EXPECT_LE(some["kv_entries"]["kept"].as_int(), 4 * (128 + 64)) << some.dump();
  EXPECT_LE(some["kv"]["pages"]["rows"].as_int(), 4 * 3) << some.dump();
  const Child::End told = run({"explain"});
  EXPECT_NE(told.out.find("pages of 64 tokens"), std::string::npos) << told.out;
  EXPECT_NE(told.out.find("dropped"), std::string::npos) << told.out;
}

TEST_F(Activation, pages_are_counted_where_they_lie) {
  const Json packed = turn("pack=kivi:bits=4,residual=64");
  EXPECT_GT(packed["kv"]["pages"]["packed"].as_int(), 0) << packed.dump();
  EXPECT_EQ(packed["kv"]["pages"]["on_disk"].as_int(), 0) << packed.dump();
  const Json tiered = turn("pack=f16 ram_tokens=128");
  EXPECT_GT(tiered["kv"]["pages"]["on_disk"].as_int(), 0) << tiered.dump();
  EXPECT_EQ(tiered["answer"], turn("pack=f16")["answer"]) << "the disk changed an answer";
  EXPECT_EQ(tiered["kv"]["pages"]["fetched"].as_int(), 0) << "where nothing selects all of it comes in turn";
  const std::string few = "select=box:pages=1,window=1";
  const Json chosen = turn(few + " ram_tokens=128");
  EXPECT_GT(chosen["kv"]["pages"]["on_disk"].as_int(), 0) << chosen.dump();
  EXPECT_GT(chosen["kv"]["pages"]["fetched"].as_int(), 0) << chosen.dump();
  EXPECT_EQ(chosen["answer"], turn(few)["answer"]) << "the disk changed an answer";
  EXPECT_NE(run({"explain"}).out.find(" on the disk"), std::string::npos);
}

TEST_F(Activation, every_selector_answers_and_says_how_much_it_read) {
  for (const char* select : {"sentence", "episode", "ann", "box", "centroid"}) {
    const Json report = turn("select=" + std::string(select) + ":pages=1,window=1");
    EXPECT_LT(report["kv"]["read_share"].as_double(), 0.9) << report.dump();
    EXPECT_GT(report["kv"]["read_share"].as_double(), 0.05) << report.dump();
    EXPECT_FALSE(report["answer"].as_string().empty()) << report.dump();
  }
  EXPECT_TRUE(turn("select=anchor:window=1")["kv"]["read_share"].is_number());
}

TEST_F(Activation, a_recipe_that_cannot_be_is_one_sentence) {
  for (const auto& [kv, clue] :
       std::vector<std::pair<std::string, std::string>>{{"policy=nonsense budget_tokens=64", "streaming"},
                                                        {"policy=h2o", "needs budget_tokens"},
                                                        {"select=sentence:estimate=16", "estimates nothing"},
                                                        {"pack=kivi:bits=3", "bits"},
                                                        {"colour=blue", "unknown key"}}) {
    const Child::End end = run({"chat", "--model", model, "--kv", kv}, "hi");
    EXPECT_NE(end.exit_code, 0) << kv;
    EXPECT_EQ(end.err.rfind("varve: ", 0), 0u) << end.err;
    EXPECT_EQ(std::count(end.err.begin(), end.err.end(), '\n'), 1) << end.err;
    EXPECT_NE(end.err.find(clue), std::string::npos) << end.err;
  }
}

TEST_F(Activation, heads_are_profiled_and_allotted_by_it) {
  const std::string text = folder / "text.txt", heads = folder / "heads.txt";
  std::ofstream(text) << long_words() << long_words();
  const Child::End end = run_child(
      VARVE_PROGRAM, {"profile", "heads", "--model", model, "--text", text, "-o", heads, "--tokens", "256"});
  ASSERT_EQ(end.exit_code, 0) << end.err;
  EXPECT_NE(end.out.find("4 KV heads"), std::string::npos) << end.out;
  const Json report = turn("policy=streaming budget_tokens=128 allot=heads:file=" + heads + ",window=64");
  EXPECT_GT(report["kv_entries"]["dropped"].as_int(), 0) << report.dump();
  const Child::End none = run({"chat", "--model", model, "--kv",
                               "policy=streaming budget_tokens=128 allot=heads:file=" + (folder / "no.txt")},
                              "hi");
  EXPECT_NE(none.exit_code, 0);
  EXPECT_NE(none.err.find("no.txt"), std::string::npos) << none.err;
}

// A real model, trained for 512 tokens, whose prompt alone is longer.
TEST_F(Activation, a_story_grows_past_what_the_model_was_trained_for) {
  NEED_SHARED("data/models/tinyllamas/stories260K.gguf");
  const std::string stories = shared_path("data/models/tinyllamas/stories260K.gguf");
  const std::vector<std::string> words{"complete", "--model", stories,         "--prompt", "Once upon a time",
                                       "-n",       "900",     "--temperature", "0",        "--context",
                                       "2048"};
  const Child::End refused = run(words);
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_NE(refused.err.find("let queries read less than that"), std::string::npos) << refused.err;
  std::vector<std::string> streamed = words;
  streamed.insert(streamed.end(), {"--kv", "policy=streaming budget_tokens=192"});
  const Child::End end = run(streamed);
  EXPECT_EQ(end.exit_code, 0) << end.err;
  EXPECT_GT(end.out.size(), 1500u) << end.out;
  // What its queries choose comes back from the disk, where most of it lies.
  const std::string select = "select=box:pages=1,window=1,sinks=1,prompts=1";
  std::vector<std::string> told;
  for (const char* ram : {"64", "1024"}) {
    std::vector<std::string> chosen = words;
    chosen.insert(chosen.end(), {"--kv", select + " ram_tokens=" + ram});
    const Child::End some = run(chosen);
    EXPECT_EQ(some.exit_code, 0) << some.err;
    told.push_back(some.out);
  }
  EXPECT_GT(told[0].size(), 1500u);
  EXPECT_EQ(told[0], told[1]) << "the disk changed an answer";
}

TEST_F(Activation, over_http_a_recipe_and_a_capture_hold_as_well) {
  Serving server{folder / "home", {"--model", model, "--kv", "select=sentence:pages=1,window=1"}};
  const auto chat = [&](const std::string& words, const Json& more = Json::object()) {
    Json ask = Json::object().set("max_tokens", 8).set("temperature", 0);
    ask.set("messages", Json::array().push(Json::object().set("role", "user").set("content", words)));
    return server.json("POST", "/v1/chat/completions", ask.set("varve", more))["varve"];
  };
  const Json told = chat(long_words());
  EXPECT_TRUE(told["kv"]["read_share"].is_number()) << told.dump();
  EXPECT_GT(told["kv"]["pages"]["rows"].as_int(), 0) << told.dump();
  server.end(SIGTERM);

  const std::string key = server.key;
  server = Serving(folder / "home", {"--model", model});
  server.key = key;  // it is shown once
  const Json note = server.json("POST", "/v1/memories", Json::object().set("text", long_words()));
  const Json ids = Json::array().push(note["id"]);
  const Json made_cube = server.json("POST", "/v1/captures", Json::object().set("memories", ids));
  EXPECT_EQ(made_cube["fidelity"], Json("exact")) << made_cube.dump();
  EXPECT_GT(made_cube["tokens"].as_int(), 200) << made_cube.dump();
  EXPECT_GT(made_cube["bytes"].as_int(), 0);
  const Json with = chat("How many boats?", Json::object().set("activation", made_cube["id"]));
  EXPECT_GT(with["activation"]["reused"].as_int(), 200) << with.dump();
  EXPECT_TRUE(with["activation"]["why"].is_null()) << with.dump();
  EXPECT_EQ(server.ask("POST", "/v1/captures", R"({"memories":[]})").status, 400);
  EXPECT_EQ(server.ask("POST", "/v1/captures", R"({"memories":["00000000000000000000000000000000"]})").status,
            404);
  EXPECT_EQ(
      server
          .ask("POST", "/v1/captures", Json::object().set("memories", ids).set("fidelity", "roughly").dump())
          .status,
      400);
  // Who forgets the memory forgets what was computed of it.
  server.json("DELETE", "/v1/memories/" + note["id"].as_string());
  const std::string cube = "/v1/memories/" + made_cube["id"].as_string();
  EXPECT_EQ(server.ask("GET", cube).status, 404);
  server.end(SIGTERM);
}

// A trained model whose grammar makes it write subtasks: what it says in them is its own.
TEST_F(Activation, an_answer_in_subtasks_is_longer_than_the_context) {
  NEED_SHARED("data/models/tinyllamas/stories260K.gguf");
  const std::string stories = shared_path("data/models/tinyllamas/stories260K.gguf");
  Serving server{folder / "home", {"--model", stories, "--context", "384"}};
  Json ask = Json::object().set("max_tokens", 2000).set("temperature", 0);
  ask.set("messages", parse_json(R"([{"role": "user", "content": "Tell me of the boats."}])").value());
  ask.set("grammar",
          R"(root ::= ("<subtask>go\n" [a-z ]{240} "<result>" [a-z]{3} "</subtask>\n"){6} "The end.")");
  const Json whole = server.json("POST", "/v1/chat/completions", ask);
  EXPECT_EQ(whole["choices"].as_array()[0]["finish_reason"], Json("length")) << whole.dump();
  const auto in_subtasks = [&](const std::string& spec) {
    Json more = Json::object().set("subtasks", spec).set("remember", false).set("recall", false);
    return server.json("POST", "/v1/chat/completions", ask.set("varve", std::move(more)));
  };
  const Json told = in_subtasks("tim:ask=0");
  const Json& choice = told["choices"].as_array()[0];
  EXPECT_EQ(choice["finish_reason"], Json("stop")) << told.dump();
  const std::string words = choice["message"]["content"].as_string();
  EXPECT_EQ(words.substr(words.size() - 8), "The end.");
  EXPECT_GT(told["usage"]["completion_tokens"].as_int(), 500) << told.dump();
  const Json& subtasks = told["varve"]["subtasks"];
  EXPECT_EQ(subtasks["finished"].as_int(), 6) << told.dump();
  EXPECT_GT(subtasks["pruned_tokens"].as_int(), 300) << told.dump();
  EXPECT_GT(subtasks["read_again"].as_int(), 0) << told.dump();
  EXPECT_LE(told["varve"]["kv"]["pages"]["rows"].as_int(), 5 * 4 * 6) << "six pages of five layers";
  Json text = Json::object().set("prompt", "Tell me of the boats.").set("grammar", ask["grammar"]);
  text.set("max_tokens", 2000).set("temperature", 0);
  text.set("varve", Json::object().set("subtasks", "tim"));
  const Json gone_on = server.json("POST", "/v1/completions", text);
  EXPECT_EQ(gone_on["choices"].as_array()[0]["finish_reason"], Json("stop")) << gone_on.dump();
  EXPECT_EQ(gone_on["varve"]["subtasks"]["finished"].as_int(), 6) << gone_on.dump();
  ask.set("varve", Json::object().set("subtasks", "nonsense"));
  EXPECT_EQ(server.ask("POST", "/v1/chat/completions", ask.dump()).status, 400);
  server.end(SIGTERM);
  // What left is said at once, and kept for later.
  const Child::End end =
      run({"chat", "--model", stories, "--subtasks", "tim:open=e,result=s,close=a,head=0,ask=0", "-n", "300",
           "--temperature", "0", "--no-recall"},
          "Tell me of the boats.\n/why\n");
  EXPECT_NE(end.out.find("tokens of their work left the KV"), std::string::npos) << end.out << end.err;
  EXPECT_NE(run({"explain"}).out.find("tokens of their work left the KV"), std::string::npos);
}

TEST_F(Activation, a_message_too_long_is_read_in_part_if_that_was_asked_for) {
  std::string words;
  for (int i = 0; i < 6; ++i) words += long_words();
  words += "How many boats?";
  const std::vector<std::string> chat{"chat", "--json",    "--model", model,           "-n",
                                      "8",    "--context", "512",     "--temperature", "0"};
  const Child::End refused = run(chat, words + "\n");
  EXPECT_NE(refused.out.find("--excerpt"), std::string::npos) << refused.out << refused.err;
  std::vector<std::string> some = chat;
  some.push_back("--excerpt");
  const Child::End end = run(some, words + "\n");
  const auto report = parse_json(end.out.substr(0, end.out.find('\n')));
  ASSERT_TRUE(report.ok()) << end.out << end.err;
  EXPECT_GT((*report)["excerpt"]["parts_read"].as_int(), 0) << end.out;
  EXPECT_GT((*report)["excerpt"]["parts"].as_int(), (*report)["excerpt"]["parts_read"].as_int()) << end.out;
  EXPECT_LE((*report)["prompt_tokens"].as_int(), 512) << end.out;
  EXPECT_NE(run({"recall", "boats"}).out.find("The harbour has 39 boats"), std::string::npos);
}

}  // namespace
}  // namespace varve
