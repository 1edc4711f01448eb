// A budget that changes while a server writes with a model that does not fit into it.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/e2e/child.h"
#include "tests/e2e/serving.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

TEST(Budget, moves_under_a_streamed_model_and_changes_no_word) {
  TempFolder folder;
  const std::string model = folder / "tiny.gguf";
  const TinyModel shape{.layers = 4, .width = 512, .heads = 8, .kv_heads = 8, .hidden = 2048};
  ASSERT_TRUE(write_tiny_model(posix_env(), model, shape).ok());
  Serving server{folder / "home", {"--model", model, "--budget", "64MiB", "--context", "512"}};
  const auto written = [&] {
    const Json user = Json::object().set("role", "user").set("content", "Tell me a story.");
    const Json ask = Json::object()
                         .set("messages", Json::array().push(user))
                         .set("max_tokens", 12)
                         .set("temperature", 0)
                         .set("varve", Json::object().set("remember", false).set("recall", false));
    return server.json("POST", "/v1/chat/completions", ask)["choices"]
        .as_array()[0]["message"]["content"]
        .as_string();
  };
  const auto report = [&](const Answer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    const auto parsed = parse_json(answer.body);
    return parsed.ok() ? *parsed : Json();
  };
  const auto weights = [](const Json& of) { return of["used_by_tag"]["weights"].as_int(); };
  const auto used = [](const Json& of) { return of["ledger_used"].as_int() + of["floor"].as_int(); };
  const std::string first = written();
  const Json little = report(server.ask("GET", "/v1/budget"));
  EXPECT_LE(used(little), 64 << 20);
  report(server.ask("PUT", "/v1/budget", R"({"budget": "256MiB"})"));
  EXPECT_EQ(written(), first);
  const Json much = report(server.ask("GET", "/v1/budget"));
  EXPECT_GT(weights(much), weights(little) + (8 << 20)) << "what was read stays now";
  const Json less = report(server.ask("PUT", "/v1/budget", R"({"budget": "64MiB"})"));
  EXPECT_LE(used(less), 64 << 20);
  EXPECT_LT(weights(less) + (8 << 20), weights(much));
  EXPECT_EQ(written(), first);

  const Answer refused = server.ask("PUT", "/v1/budget", R"({"budget": "9MiB"})");
  EXPECT_EQ(refused.status, 503) << refused.body;
  EXPECT_NE(refused.body.find("MiB or more"), std::string::npos) << refused.body;
  for (const char* bad : {R"({"budget": "much"})", R"({"budget": -5})", R"({"size": 5})", "[]"})
    EXPECT_EQ(server.ask("PUT", "/v1/budget", bad).status, 400) << bad;
  EXPECT_EQ(written(), first);
  EXPECT_EQ(server.end(SIGTERM).exit_code, 0);
}

TEST(Budget, neurons_that_are_chosen_stream_alone_and_all_of_them_are_the_model) {
  TempFolder folder;
  const std::string model = folder / "tiny.gguf",
                    prompt = "What is the name of your hill, and who lives there?";
  const TinyModel shape{.layers = 4, .width = 512, .heads = 8, .kv_heads = 8, .hidden = 2048, .relu = true};
  ASSERT_TRUE(write_tiny_model(posix_env(), model, shape).ok());
  const auto complete = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"complete", "--model",   model,      "--budget", "80MiB",
                                      "-n",       "12",        "--prompt", prompt,     "--temperature",
                                      "0",        "--context", "512",      "--home",   folder / "home"};
    words.insert(words.end(), more.begin(), more.end());
    return run_child(VARVE_PROGRAM, words);
  };
  const auto said = [&](const char* neurons) {
    const Child::End end = complete({"--neurons", neurons});
    EXPECT_EQ(end.exit_code, 0) << neurons << ": " << end.err;
    return end.out;
  };
  const std::string first = said("");
  EXPECT_EQ(said("coreinfer:share=1"), first) << "rows of weights that stream";
  const Child::End early = complete({"--neurons", "sketch"});
  EXPECT_NE(early.exit_code, 0);
  EXPECT_NE(early.err.find("varve neurons --sketch"), std::string::npos) << early.err;
  const Child::End unknown = complete({"--neurons", "some"});
  EXPECT_NE(unknown.err.find("reading --neurons"), std::string::npos) << unknown.err;

  const Child::End apart = run_child(VARVE_PROGRAM, {"neurons", "--model", model, "--sketch", "q8_0"});
  ASSERT_EQ(apart.exit_code, 0) << apart.err;
  const Child::End plan = complete({"--neurons", "coreinfer", "--plan"});
  EXPECT_NE(plan.out.find("neurons"), std::string::npos) << plan.out;
  EXPECT_EQ(said(""), first) << "by the gate itself";
  EXPECT_EQ(said("coreinfer:share=1"), first) << "whole neurons";
  EXPECT_EQ(said("sketch:margin=6"), first) << "nobody is missed";
  EXPECT_NE(said("coreinfer:share=.02"), first) << "most are";
}

}  // namespace
}  // namespace varve
