#include "serve/mcp/peer.h"

#include <gtest/gtest.h>

#include "serve/mcp/sessions.h"
#include "serve/mcp/tools.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

class Peer : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Home::open({.folder = folder / "home"});
    ASSERT_TRUE(opened.ok()) << std::move(opened).status().text();
    home = std::move(opened).value();
  }
  std::vector<Json> say(const std::string& text, const std::string& who = "alice", bool may_write = true) {
    return mcp_answer_text({*home, {who}, may_write}, state, text);
  }
  Json one(const std::string& text) {
    const auto all = say(text);
    EXPECT_EQ(all.size(), 1u) << text;
    return all.empty() ? Json() : all[0];
  }
  void greet(const std::string& version = "2025-06-18") {
    state = {};
    one(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":")" + version +
        R"("}})");
  }
  Json call(const std::string& tool, const Json& arguments, const std::string& who = "alice") {
    Json params = Json::object().set("name", tool).set("arguments", arguments);
    Json ask = Json::object().set("jsonrpc", "2.0").set("id", 1).set("method", "tools/call");
    return say(ask.set("params", std::move(params)).dump(), who).back()["result"];
  }

  TempFolder folder{TempFolder::in_ram()};
  std::unique_ptr<Home> home;
  McpState state;
};

TEST_F(Peer, NothingButPingBeforeInitialize) {
  EXPECT_EQ(one(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})")["error"]["code"], Json(kInvalidRequest));
  EXPECT_TRUE(one(R"({"jsonrpc":"2.0","id":"a","method":"ping"})")["result"].is_object());
  greet();
  EXPECT_EQ(one(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})")["result"]["tools"].size(),
            mcp_tools().size());
  EXPECT_EQ(one(R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"x"}})")["error"]
                                                                                                     ["code"],
            Json(kInvalidRequest));
}

TEST_F(Peer, NotificationsAndResponsesAreNotAnswered) {
  greet();
  EXPECT_TRUE(
      say(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})").empty());
  EXPECT_TRUE(say(R"({"jsonrpc":"2.0","id":4,"result":{}})").empty());
  EXPECT_TRUE(say(R"({"jsonrpc":"2.0","method":"no/such"})").empty());
}

TEST_F(Peer, ABatchIsAnsweredAsOneInTheVersionsThatHaveThem) {
  greet("2025-03-26");
  const std::string batch =
      R"([{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","id":2,"method":"initialize"}])";
  const Json answer = one(batch);
  ASSERT_EQ(answer.size(), 2u);
  EXPECT_EQ(answer.as_array()[1]["error"]["code"], Json(kInvalidRequest));
  greet("2025-06-18");
  EXPECT_EQ(one(batch)["error"]["code"], Json(kInvalidRequest));
}

TEST_F(Peer, EverySchemaNamesWhatIsRequiredAndEveryToolSaysWhatItIs) {
  for (const McpTool& tool : mcp_tools()) {
    const Json json = mcp_tool_json(tool);
    EXPECT_EQ(json["annotations"]["readOnlyHint"], Json(!tool.writes));
    for (const char* key : {"inputSchema", "outputSchema"}) {
      const Json* required = json[key].find("required");
      if (required == nullptr) continue;
      for (const Json& name : required->as_array())
        EXPECT_NE(json[key]["properties"].find(name.as_string()), nullptr) << tool.name;
    }
  }
}

TEST_F(Peer, AMistypedArgumentIsNamedAndNothingHappens) {
  greet();
  const Json result = call("remember", Json::object().set("text", "x").set("txet", "y"));
  EXPECT_EQ(result["isError"], Json(true));
  EXPECT_TRUE(home->cubes().list({"alice"}, {})->empty());
}

TEST_F(Peer, WhoMayOnlyReadChangesNothing) {
  greet();
  for (const McpTool& tool : mcp_tools()) {
    if (!tool.writes) continue;
    const McpCaller reader{*home, {"alice"}, false};
    const Json result = run_mcp_tool(tool, reader, Json::object());
    EXPECT_NE(result["content"].as_array()[0]["text"].as_string().find("denied"), std::string::npos);
  }
}

TEST_F(Peer, AForeignIdAndAnUnknownOneAreToldAlike) {
  greet();
  const std::string id =
      call("remember", Json::object().set("text", "mine"))["structuredContent"]["id"].as_string();
  std::string other = id;
  other.back() = other.back() == '0' ? '1' : '0';
  for (const char* tool : {"history", "forget", "update"}) {
    Json ask = Json::object();
    if (std::string_view(tool) == "update") ask.set("text", "stolen");
    std::string foreign =
        call(tool, Json(ask).set("id", id), "bob")["content"].as_array()[0]["text"].as_string();
    std::string unknown =
        call(tool, Json(ask).set("id", other), "bob")["content"].as_array()[0]["text"].as_string();
    EXPECT_EQ(foreign.replace(foreign.find(id), 32, other), unknown) << tool;
  }
}

TEST_F(Peer, OldVersionsComeBackAndConflictsAreSettled) {
  greet();
  const auto remember = [&](const Json& more) {
    return call("remember", more)["structuredContent"]["id"].as_string();
  };
  const std::string older = remember(Json::object().set("text", "Ana lives in Ghent"));
  const std::string newer = remember(
      Json::object().set("text", "Ana lives in Bruges").set("contradicts", Json::array().push(older)));
  const auto open = [&] {
    return call("conflicts", Json::object())["structuredContent"]["conflicts"].size();
  };
  EXPECT_EQ(open(), 1u);
  Json verdict = Json::object().set("newer", newer).set("older", older).set("verdict", "newer");
  EXPECT_EQ(call("settle", verdict, "bob")["isError"], Json(true));
  EXPECT_EQ(call("settle", verdict)["isError"], Json(false));
  EXPECT_EQ(open(), 0u);

  call("update", Json::object().set("id", newer).set("text", "Ana lives in Lier"));
  EXPECT_EQ(call("diff", Json::object().set("id", newer))["structuredContent"]["parts"].size(), 3u);
  const Json stale =
      call("restore", Json::object().set("id", newer).set("version", 1).set("base", 1))["content"];
  EXPECT_NE(stale.as_array()[0]["text"].as_string().find("now: Ana lives in Lier"), std::string::npos);
  const Json back = call("restore", Json::object().set("id", newer).set("version", 1));
  EXPECT_EQ(back["structuredContent"]["version"], Json(3));
  EXPECT_EQ(call("restore", Json::object().set("id", newer).set("version", 1), "bob")["isError"], Json(true));
}

TEST_F(Peer, AQuestionAboutAllMemoriesIsCounted) {
  greet();
  call("remember", Json::object().set("text", "I baked bread").set("event_at", "2024-05-01"));
  call("remember", Json::object().set("text", "Bread again").set("event_at", "2024-05-02"));
  const Json result = call("recall", Json::object().set("query", "How often was bread mentioned?"));
  const Json counted = result["structuredContent"]["aggregate"];
  EXPECT_EQ(counted["count"], Json(2));
  EXPECT_EQ(counted["evidence"].as_array()[0]["text"], Json("I baked bread"));
  EXPECT_NE(result["content"].as_array()[0]["text"].as_string().find("2 memories speak of 'bread'"),
            std::string::npos);
  const Json other = call("recall", Json::object().set("query", "bread"))["structuredContent"];
  EXPECT_EQ(other.find("aggregate"), nullptr);
  EXPECT_EQ(
      call(
          "recall",
          Json::object().set("query", "bread").set("known_at", "2020-01-01"))["structuredContent"]["memories"]
          .size(),
      0u);
}

TEST(Sessions, BelongToWhoBeganThemAndGiveWayToNewerOnes) {
  McpSessions sessions(2);
  const std::string first = sessions.begin({"alice"}, {}), second = sessions.begin({"alice"}, {});
  EXPECT_FALSE(sessions.with(first, {"bob"}, [](McpState&) { FAIL(); }));
  EXPECT_TRUE(sessions.with(first, {"alice"}, [](McpState& state) { state.version = "v"; }));
  const std::string third = sessions.begin({"bob"}, {});
  EXPECT_FALSE(sessions.with(second, {"alice"}, [](McpState&) { FAIL(); }));
  EXPECT_TRUE(sessions.with(first, {"alice"}, [](McpState& state) { EXPECT_EQ(state.version, "v"); }));
  EXPECT_FALSE(sessions.end(third, {"alice"}));
  EXPECT_TRUE(sessions.end(third, {"bob"}));
}

TEST_F(Peer, ACaptureNeedsAModelThatReadsAndMemoriesThatAreThere) {
  greet();
  const Json none = call("capture", Json::object().set("memories", Json::array()));
  EXPECT_EQ(none["isError"], Json(true));
  EXPECT_NE(none.dump().find("1 to 1000 ids"), std::string::npos) << none.dump();
  const Json noted =
      call("remember", Json::object().set("text", "The key is under the mat."))["structuredContent"];
  const Json ids = Json::array().push(noted["id"]);
  const Json made = call("capture", Json::object().set("memories", ids));
  EXPECT_EQ(made["isError"], Json(true));
  EXPECT_NE(made.dump().find("no model reads here"), std::string::npos) << made.dump();
}

}  // namespace
}  // namespace varve
