// The same bad input over the command line, HTTP and MCP: each time one clear error, and nothing is changed.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/e2e/serving.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr size_t kHuge = 100 << 20;

class BadInput : public testing::Test {
 protected:
  Child::End run(std::vector<std::string> words) {
    words.insert(words.end(), {"--home", home});
    return run_child(VARVE_PROGRAM, words);
  }
  void expect(std::vector<std::string> words, int exit_code, const std::string& clue) {
    const Child::End end = run(std::move(words));
    EXPECT_EQ(end.exit_code, exit_code) << end.out << end.err;
    EXPECT_NE((end.out + end.err).find(clue), std::string::npos) << end.out << end.err;
    EXPECT_FALSE(end.dumped_core);
  }
  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(folder / name, std::ios::binary) << text;
    return folder / name;
  }
  // One line for each memory, as 'varve export' writes them.
  static std::string lines(int count) {
    std::string all;
    for (int i = 0; i < count; ++i) {
      const std::string number = std::to_string(i);
      all += R"({"id":")" + std::string(32 - number.size(), '0') + number +
             R"(","kind":"note","text":"number )" + number + "\"}\n";
    }
    return all;
  }
  TempFolder folder;
  const std::string home = folder / "home";
  const std::string unknown = std::string(31, '0') + "7";
};

TEST_F(BadInput, over_the_command_line) {
  const Child::End made = run({"remember", "the key is blue", "--json"});
  const std::string id = (*parse_json(made.out))["id"].as_string();
  expect({"cube", "show", unknown}, 3, "no cube");
  expect({"cube", "show", "nonsense"}, 2, "");
  expect({"cube", "show", id, "--as", "bob"}, 3, "no cube " + id);
  expect({"remember", "x", "--space", "bob"}, 3, "no space bob");
  expect({"remember", "x", "--event", "2023-02-30"}, 2, "no date");
  expect({"recall", "x", "--as-of", "2023-13-01"}, 2, "no date");
  expect({"cube", "revise", id, "red", "--base", "1"}, 0, "");
  expect({"cube", "revise", id, "green", "--base", "1"}, 9, "Now, version 2: red");
  expect({"cube", "restore", id, "--version", "1", "--base", "1"}, 9, "Now, version 2: red");
  expect({"remember", "\xFF\xFE"}, 2, "UTF-8");
  expect({"remember", "--file", file("huge.txt", std::string(kHuge, 'a'))}, 2, "");
  expect({"remember", "--file", file("broken.txt", "words \xC3(")}, 2, "UTF-8");
  expect({"import", file("huge.jsonl", R"({"text":")" + std::string(kHuge, 'a') + "\"}\n")}, 0,
         "line 1, byte 0: it is longer than");

  const std::string whole = lines(20);
  expect({"import", file("cut.jsonl", whole.substr(0, whole.size() / 2))}, 7, "whole up to line 10, byte");
  expect({"import", file("whole.jsonl", whole)}, 0, "Imported 10 memories");
  expect({"import", file("whole.jsonl", whole)}, 0, "20 were there already");
  expect({"fsck"}, 0, "Sound.");
}

TEST_F(BadInput, over_http) {
  Serving server{home, {}};
  const auto ask = [&](const std::string& method, const std::string& path, const std::string& body,
                       int status, const std::string& clue) {
    const Answer answer = server.ask(method, path, body);
    EXPECT_EQ(answer.status, status) << method << " " << path << " " << answer.body;
    EXPECT_NE(answer.body.find(clue), std::string::npos) << answer.body;
  };
  const std::string id =
      server.json("POST", "/v1/memories", Json::object().set("text", "blue"))["id"].as_string();
  for (const char* more : {"", "/history", "/diff"})
    ask("GET", "/v1/memories/" + unknown + more, "", 404, "no");
  ask("PUT", "/v1/memories/" + unknown, R"({"text":"x"})", 404, "no cube");
  ask("POST", "/v1/memories/" + unknown + "/restore", R"({"version":1})", 404, "no cube");
  ask("DELETE", "/v1/memories/" + unknown, "", 404, "no cube");
  ask("POST", "/v1/memories", R"({"text":"x","space":"bob"})", 404, "no space");
  ask("GET", "/v1/memories?space=bob", "", 200, R"("data":[])");
  ask("PUT", "/v1/spaces/bob", R"({"cap_bytes":1})", 404, "no space");
  for (const char* field : {"event_at", "valid_from", "valid_to"})
    ask("POST", "/v1/memories", R"({"text":"x",")" + std::string(field) + R"(":"2023-02-30"})", 400, field);
  ask("POST", "/v1/memories/search", R"({"query":"x","as_of":"never"})", 400, "as_of");
  ask("PUT", "/v1/memories/" + id, R"({"text":"red","version":1})", 200, "red");
  ask("PUT", "/v1/memories/" + id, R"({"text":"green","version":1})", 409, R"("current":{)");
  ask("POST", "/v1/memories/" + id + "/restore", R"({"version":1,"base":1})", 409, R"("text":"red")");
  ask("POST", "/v1/memories", "{\"text\":\"\xFF\"}", 400, "JSON");
  ask("POST", "/v1/memories", R"({"text":"\ud800"})", 400, "");
  EXPECT_EQ(
      server
          .raw(server.head("POST", "/v1/memories", server.key) +
               "Content-Type: application/json\r\nContent-Length: " + std::to_string(kHuge) + "\r\n\r\n")
          .status,
      413);
  ask("POST", "/v1/memories", R"({"text":")" + std::string(17 << 20, 'a') + "\"}", 400, "text");

  const std::string whole = lines(20);
  ask("POST", "/v1/memories/import", whole.substr(0, whole.size() / 2), 422, "whole up to line 10, byte");
  ask("POST", "/v1/memories/import", whole, 200, R"("added":10)");
  ask("GET", "/health", "", 200, "");
}

TEST_F(BadInput, over_mcp) {
  Child peer(VARVE_PROGRAM, {"mcp", "--home", home});
  int number = 0;
  const auto say = [&](const std::string& line) {
    std::string heard;
    EXPECT_TRUE(peer.say(line) && peer.hear(heard)) << line.substr(0, 80);
    auto json = parse_json(heard);
    return json.ok() ? std::move(json).value() : Json();
  };
  const auto ask = [&](const std::string& method, Json params) {
    return say(Json::object()
                   .set("jsonrpc", "2.0")
                   .set("id", ++number)
                   .set("method", method)
                   .set("params", std::move(params))
                   .dump());
  };
  const auto call = [&](const std::string& tool, const char* arguments) {
    return ask("tools/call",
               Json::object().set("name", tool).set("arguments", *parse_json(arguments)))["result"];
  };
  const auto refused = [&](const std::string& tool, const std::string& arguments, const std::string& clue) {
    const Json result = call(tool, arguments.c_str());
    EXPECT_EQ(result["isError"], Json(true)) << tool << arguments.substr(0, 80);
    EXPECT_NE(result.dump().find(clue), std::string::npos) << result.dump();
  };
  ask("initialize", Json::object().set("protocolVersion", "2025-06-18"));
  const std::string id = call("remember", R"({"text":"blue"})")["structuredContent"]["id"].as_string();
  for (const char* tool : {"history", "forget", "diff"})
    refused(tool, R"({"id":")" + unknown + "\"}", "not found");
  refused("history", R"({"id":"nonsense"})", "not found");
  refused("remember", R"({"text":"x","space":"bob"})", "no space");
  refused("remember", R"({"text":"x","event_at":"2023-02-30"})", "event_at");
  refused("recall", R"({"query":"x","known_at":"2023-02-30"})", "known_at");
  call("update", (R"({"text":"red","version":1,"id":")" + id + "\"}").c_str());
  refused("update", R"({"text":"green","version":1,"id":")" + id + "\"}", "its words are now: red");
  refused("restore", R"({"version":1,"base":1,"id":")" + id + "\"}", "its words are now: red");
  EXPECT_EQ(say("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xFF\"}")["error"]["code"], Json(-32700));
  EXPECT_EQ(say(std::string(kHuge, 'a'))["error"]["code"], Json(-32600));
  EXPECT_EQ(call("recall", R"({"query":"red"})")["isError"], Json(false));
}

}  // namespace
}  // namespace varve
