// The memories' routes without a socket: Varve's own words, mem0's, and bad input.
#include <gtest/gtest.h>

#include "serve/http/memory/filter.h"
#include "serve/http/server.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

class Memories : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Home::open({.folder = folder / "home"});
    ASSERT_TRUE(opened.ok()) << std::move(opened).status().text();
    home = std::move(opened).value();
  }
  // "GET /v1/memories?limit=2"
  HttpReply ask(const std::string& line, const std::string& body = "", const std::string& who = "app") {
    Api api{*home, counters};
    const size_t space = line.find(' '), mark = std::min(line.find('?'), line.size());
    HttpRequest request{.method = line.substr(0, space), .path = line.substr(space + 1, mark - space - 1)};
    for (std::string_view rest = std::string_view(line).substr(std::min(mark + 1, line.size()));
         !rest.empty();) {
      const std::string_view part = rest.substr(0, rest.find('&'));
      const size_t equals = part.find('=');
      request.query[std::string(part.substr(0, equals))] = std::string(part.substr(equals + 1));
      rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    }
    request.body = body;
    request.who = {who};
    if (const size_t at = who.find('+'); at != std::string::npos)
      request.who = {who.substr(0, at), who.substr(at + 1)};  // an agent of somebody
    if (const size_t at = who.find('/'); at != std::string::npos)
      request.who = {who.substr(0, at), "", who.substr(at + 1)};  // one conversation of somebody
    request.role = Access::admin;
    auto route = find_route(request);
    if (!route.ok()) return error_reply(std::move(route).status());
    auto reply = (*route)->answer(api, request);
    return reply.ok() ? std::move(reply).value() : error_reply(std::move(reply).status());
  }
  Json good(const std::string& line, const std::string& body = "", const std::string& who = "app") {
    const HttpReply reply = ask(line, body, who);
    EXPECT_LT(reply.status, 300) << line << " " << body << " " << reply.body;
    auto json = parse_json(reply.body);
    return json.ok() ? *json : Json();
  }
  static std::vector<std::string> texts(const Json& list, const char* key = "memory") {
    std::vector<std::string> all;
    for (const Json& one : list.as_array()) all.push_back(one[key].as_string());
    return all;
  }
  using Texts = std::vector<std::string>;

  TempFolder folder{TempFolder::in_ram()};
  std::unique_ptr<Home> home;
  Counters counters;
};

TEST_F(Memories, SpeakMem0) {
  const Json added = good("POST /v1/memories/", R"({"messages":[{"role":"system","content":"be nice"},
    {"role":"user","content":"I like figs"},{"role":"assistant","content":"Noted"}],"user_id":"Åsa@x","run_id":"r1",
    "metadata":{"topic":"food","n":3},"infer":false})");
  ASSERT_EQ(texts(added["results"]), (Texts{"I like figs", "Noted"}));
  EXPECT_EQ(added["results"].as_array()[0]["event"], Json("ADD"));
  good("POST /v1/memories/",
       R"({"messages":"I like dates too","user_id":"Åsa@x","run_id":"r1","agent_id":"cook"})");
  good("POST /v1/memories/", R"({"messages":"I like figs best","user_id":"bo"})");

  EXPECT_EQ(good("GET /v1/memories/?user_id=Åsa@x")["results"].size(), 3u);
  EXPECT_EQ(texts(good("GET /v1/memories/?user_id=bo")["results"]), Texts{"I like figs best"});
  EXPECT_EQ(texts(good("GET /v1/memories/?user_id=Åsa@x&agent_id=cook")["results"]),
            Texts{"I like dates too"});
  EXPECT_EQ(texts(good("GET /v1/memories/?user_id=Åsa@x&page=2&page_size=2")["results"]),
            Texts{"I like dates too"});
  EXPECT_EQ(good("GET /v1/memories/?user_id=nobody")["results"].size(), 0u);
  const Json one = good("GET /v1/memories/?user_id=Åsa@x&page_size=1")["results"].as_array()[0];
  EXPECT_EQ(one["user_id"], Json("Åsa@x"));
  EXPECT_EQ(one["metadata"]["n"], Json(3));

  const auto found = [&](const std::string& more) {
    return texts(
        good("POST /v2/memories/search/", R"({"query":"figs","user_id":"Åsa@x")" + more + "}")["results"]);
  };
  EXPECT_EQ(found("")[0], "I like figs");
  EXPECT_EQ(found(R"(,"filters":{"AND":[{"metadata":{"topic":"food"}}]},"top_k":1)"), Texts{"I like figs"});
  EXPECT_EQ(found(R"(,"filters":{"metadata":{"topic":"sport"}})"), Texts{});
  EXPECT_EQ(found(R"(,"threshold":1e8)"), Texts{});
  EXPECT_EQ(texts(good("POST /v1/memories/search/", R"({"query":"figs","user_id":"bo"})")["results"]),
            Texts{"I like figs best"});
  EXPECT_EQ(
      good("POST /v1/memories/search/", R"({"query":"figs","user_id":"bo"})", "other")["results"].size(), 0u);

  const std::string id = one["id"].as_string();
  EXPECT_EQ(good("DELETE /v1/memories/?user_id=bo")["erased"].size(), 1u);
  EXPECT_EQ(good("GET /v1/memories/?user_id=Åsa@x")["results"].size(), 3u);
  EXPECT_EQ(good("DELETE /v1/batch/", R"({"memories":[{"memory_id":")" + id + "\"}]}")["erased"]
                .as_array()[0]["id"],
            Json(id));
  EXPECT_EQ(ask("DELETE /v1/memories/").status, 400);
}

TEST_F(Memories, AreCountedWhenTheQuestionIsAboutAllOfThem) {
  for (const char* day : {"01", "02", "03"})
    good("POST /v1/memories", std::string(R"({"text":"I baked bread","event_at":"2024-05-)") + day + "\"}");
  good("POST /v1/memories", R"({"text":"bread of another","user_id":"bo"})");
  good("POST /v1/memories", R"({"text":"bread"})", "other");
  const Json all = good("POST /v1/memories/search",
                        R"({"query":"how often was bread mentioned in 2024?","space":"app","limit":2})");
  EXPECT_EQ(all["aggregate"]["count"], Json(3));
  EXPECT_EQ(all["aggregate"]["words"], Json("bread"));
  EXPECT_EQ(all["aggregate"]["says"], Json("3 memories speak of 'bread', of all there are."));
  EXPECT_EQ(all["aggregate"]["evidence"].size(), 2u);
  EXPECT_EQ(all["data"].size(), 2u);
  good("POST /v1/memories", R"({"text":"I paid $4 for bread"})");
  good("POST /v1/memories", R"({"text":"The bread cost $7.50"})");
  const Json dear = good("POST /v1/memories/search", R"({"query":"the most expensive bread"})")["aggregate"];
  EXPECT_EQ(dear["count"], Json(2));
  EXPECT_EQ(dear["values"].as_array()[0]["value"], Json("$7.50"));
  const std::string bo = R"({"query":"how often was bread mentioned?","user_id":"bo")";
  EXPECT_EQ(good("POST /v1/memories/search", bo + "}")["aggregate"]["count"], Json(1));
  EXPECT_EQ(good("POST /v1/memories/search", bo + R"(,"agent_id":"x"})").find("aggregate"), nullptr);
  EXPECT_EQ(good("POST /v1/memories/search", R"({"query":"bread"})").find("aggregate"), nullptr);
  EXPECT_EQ(good("POST /v1/memories/search", R"({"query":"bread","known_at":"2020-01-01"})")["data"].size(),
            0u);
}

TEST_F(Memories, AreUpdatedWithTheirHistoryAndAStaleVersionShowsWhatIsThere) {
  const std::string id = good("POST /v1/memories", R"({"text":"one","metadata":{"a":1}})")["id"].as_string();
  good("PUT /v1/memories/" + id + "/", R"({"text":"two","version":1})");
  const HttpReply stale = ask("PUT /v1/memories/" + id, R"({"text":"three","version":1})");
  EXPECT_EQ(stale.status, 409);
  const Json body = *parse_json(stale.body);
  EXPECT_EQ(body["current"]["text"], Json("two"));
  EXPECT_EQ(body["current"]["version"], Json(2));
  EXPECT_EQ(body["error"]["code"], Json("conflict"));
  good("PUT /v1/memories/" + id, R"({"metadata":{"a":2}})");
  const Json batch =
      good("PUT /v1/batch", R"({"memories":[{"memory_id":")" + id + R"(","text":"four"},{"memory_id":")" +
                                std::string(32, '0') + R"(","text":"x"}]})");
  EXPECT_EQ(batch["results"].as_array()[0]["status"], Json(200));
  EXPECT_EQ(batch["results"].as_array()[1]["status"], Json(404));
  const Json history = good("GET /v1/memories/" + id + "/history")["data"];
  ASSERT_EQ(history.size(), 4u);
  EXPECT_EQ(history.as_array()[1]["old_memory"], Json("one"));
  EXPECT_EQ(history.as_array()[1]["new_memory"], Json("two"));
  EXPECT_EQ(history.as_array()[2]["text"], Json("two"));
  EXPECT_EQ(history.as_array()[2]["labels"]["metadata"]["a"], Json(2));
}

TEST_F(Memories, ComeBackInAnOldVersionAndShowWhatChanged) {
  const std::string id = good("POST /v1/memories", R"({"text":"the key is blue"})")["id"].as_string();
  good("PUT /v1/memories/" + id, R"({"text":"the key is red","why":"painted"})");
  const Json diff = good("GET /v1/memories/" + id + "/diff");
  EXPECT_EQ(diff["why"], Json("painted"));
  std::string changed;
  for (const Json& part : diff["parts"].as_array()) {
    if (part["kind"] != Json("same"))
      changed += part["kind"].as_string() + " " + part["text"].as_string() + ";";
  }
  EXPECT_EQ(changed, "removed blue;added red;");
  EXPECT_EQ(good("GET /v1/memories/" + id + "?version=1")["text"], Json("the key is blue"));
  const HttpReply stale = ask("POST /v1/memories/" + id + "/restore", R"({"version":1,"base":1})");
  EXPECT_EQ(stale.status, 409);
  EXPECT_EQ((*parse_json(stale.body))["current"]["text"], Json("the key is red"));
  const Json back = good("POST /v1/memories/" + id + "/restore", R"({"version":1,"base":2})");
  EXPECT_EQ(back["text"], Json("the key is blue"));
  EXPECT_EQ(back["version"], Json(3));
  EXPECT_EQ(ask("POST /v1/memories/" + id + "/restore", "{}").status, 400);
  EXPECT_EQ(ask("GET /v1/memories/" + id + "/diff", "", "bob").status, 404);
  EXPECT_EQ(ask("GET /v1/memories/" + id + "?known_at=2000-01-01").status, 404);
}

TEST_F(Memories, ThatContradictAreBothKeptUntilSomebodySettlesIt) {
  const std::string older = good("POST /v1/memories", R"({"text":"Ana lives in Ghent"})")["id"].as_string();
  const std::string newer =
      good("POST /v1/memories", R"({"text":"Ana lives in Bruges","contradicts":[")" + older + "\"]}")["id"]
          .as_string();
  const Json pairs = good("GET /v1/memories/conflicts")["data"];
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs.as_array()[0]["newer"]["text"], Json("Ana lives in Bruges"));
  EXPECT_EQ(pairs.as_array()[0]["older"]["life"], Json("expired"));
  EXPECT_EQ(good("GET /v1/memories/conflicts", "", "bob")["data"].size(), 0u);
  const std::string both = R"({"newer":")" + newer + R"(","older":")" + older + R"(","verdict":)";
  EXPECT_EQ(ask("POST /v1/memories/conflicts", both + R"("perhaps"})").status, 400);
  EXPECT_EQ(ask("POST /v1/memories/conflicts", both + R"("older"})", "bob").status, 404);
  const Json settled = good("POST /v1/memories/conflicts", both + R"("older"})");
  EXPECT_EQ(settled["older"]["life"], Json("active"));
  EXPECT_EQ(settled["newer"]["life"], Json("expired"));
  EXPECT_EQ(good("GET /v1/memories/conflicts")["data"].size(), 0u);
}

TEST_F(Memories, AreSharedAndCappedByTheRulesOfTheirSpace) {
  EXPECT_EQ(ask("GET /v1/spaces/app:club", "", "bob").status, 404);
  const Json made =
      good("PUT /v1/spaces/app:club", R"({"secrets":"redact","cap_bytes":200,"half_life_days":30})");
  EXPECT_EQ(made["cap_bytes"], Json(200));
  EXPECT_EQ(good("PUT /v1/spaces/app:club", R"({"evicted":"archived"})")["secrets"], Json("redact"));
  EXPECT_EQ(
      good("PUT /v1/spaces/app:club/grants/bob", R"({"role":"writer"})")["grants"].as_array()[0]["role"],
      Json("writer"));
  const Json kept =
      good("POST /v1/memories", R"({"text":"the wifi password: hunter2hunter2","space":"app:club"})", "bob");
  EXPECT_EQ(kept["text"].as_string().find("hunter2"), std::string::npos);
  for (int i = 0; i < 8; ++i)
    good("POST /v1/memories",
         R"({"text":"a note of about forty bytes, number )" + std::to_string(i) + R"(","space":"app:club"})");
  EXPECT_LE(good("GET /v1/spaces/app:club")["active_bytes"].as_int(), 200);
  good("POST /v1/spaces/app:club/tend");
  EXPECT_EQ(ask("PUT /v1/spaces/app:club", R"({"cap_bytes":1})", "bob").status, 403);
  EXPECT_EQ(ask("PUT /v1/spaces/app:club", R"({"cap_bytes":-1})").status, 400);
  good("DELETE /v1/spaces/app:club/grants/bob");
  EXPECT_EQ(ask("GET /v1/spaces/app:club", "", "bob").status, 404);
  EXPECT_GE(good("GET /v1/audit?space=app:club&limit=3")["data"].size(), 3u);
}

TEST_F(Memories, OfAgentsAndSessionsAreNoMoreThanWasLent) {
  good("POST /v1/memories", R"({"text":"my figs","session":"s1","agent_id":"cook"})");
  good("POST /v1/memories", R"({"text":"my dates","session":"s2","user_id":"bo"})");
  EXPECT_EQ(good("GET /v1/memories", "", "app+helper")["data"].size(), 0u);
  good("PUT /v1/agents/helper", R"({"role":"reader"})");
  EXPECT_EQ(good("GET /v1/agents")["data"].as_array()[0]["agent"], Json("helper"));
  EXPECT_EQ(good("GET /v1/memories", "", "app+helper")["data"].size(), 2u);
  EXPECT_EQ(ask("POST /v1/memories", R"({"text":"x"})", "app+helper").status, 403);
  EXPECT_EQ(ask("PUT /v1/agents/other", R"({"role":"admin"})", "app+helper").status, 403);
  good("DELETE /v1/agents/helper");
  EXPECT_EQ(good("POST /v1/memories/search", R"({"query":"figs"})", "app+helper")["data"].size(), 0u);

  EXPECT_EQ(texts(good("GET /v1/memories", "", "app/s1")["data"], "text"), Texts{"my figs"});
  EXPECT_EQ(good("POST /v1/memories/search", R"({"query":"dates"})", "app/s1")["data"].size(), 0u);
  const auto counted = [&](const std::string& word) {
    return good("POST /v1/memories/search", R"({"query":"how often was )" + word + R"( mentioned?"})",
                "app/s1")["aggregate"]["count"];
  };
  EXPECT_EQ(counted("figs"), Json(1));
  EXPECT_NE(counted("dates"), Json(1));
  std::string names;
  const Json entities = good("GET /v1/entities");
  for (const Json& one : entities["results"].as_array())
    names += one["type"].as_string() + " " + one["id"].as_string() + ";";
  EXPECT_EQ(names, "agent cook;run s1;run s2;user bo;");
  EXPECT_EQ(good("DELETE /v2/entities/user/bo")["erased"].size(), 1u);
}

TEST_F(Memories, BadInputIsOneClearError) {
  const std::string id = good("POST /v1/memories", R"({"text":"mine"})")["id"].as_string();
  std::string unknown = id;
  unknown.back() = unknown.back() == '0' ? '1' : '0';
  const struct {
    std::string line, body, says;
    int status;
  } cases[] = {
      {"GET /v1/memories/" + unknown, "", "cube", 404},
      {"GET /v1/memories/nonsense", "", "no memory", 404},
      {"POST /v1/memories", R"({"text":"x","event_at":"2023-02-30"})", "event_at", 400},
      {"POST /v1/memories", R"({"text":"x","space":"../up"})", "space", 400},
      {"POST /v1/memories", "{\"text\":\"\xFF\"}", "JSON", 400},
      {"POST /v1/memories", R"({"text":"  "})", "text", 400},
      {"POST /v1/memories", R"({"text":"x","metadata":[1]})", "metadata", 400},
      {"POST /v1/memories", R"({"messages":[]})", "messages", 400},
      {"POST /v1/memories", R"({"messages":[{"role":"root","content":"x"}]})", "role", 400},
      {"POST /v1/memories/search", R"({"query":""})", "query", 400},
      {"POST /v1/memories/search", R"({"query":"x","filters":{"a":{"like":1}}})", "filter", 400},
      {"GET /v1/memories?limit=0", "", "limit", 400},
      {"GET /v1/memories?page=x", "", "page", 400},
      {"GET /v1/memories?after=x", "", "after", 400},
      {"POST /v1/memories/import", "nonsense", "", 422},
  };
  for (const auto& one : cases) {
    const HttpReply reply = ask(one.line, one.body);
    EXPECT_EQ(reply.status, one.status) << one.line << one.body << reply.body;
    EXPECT_NE(reply.body.find(one.says), std::string::npos) << reply.body;
  }
  std::string foreign = ask("GET /v1/memories/" + id, "", "bob").body;
  EXPECT_EQ(foreign.replace(foreign.find(id), 32, unknown),
            ask("GET /v1/memories/" + unknown, "", "bob").body);
}

TEST_F(Memories, GoOutAndComeInAgain) {
  good("POST /v1/memories", R"({"text":"one","event_at":"2024-05-08"})");
  good("POST /v1/memories", R"({"text":"two"})");
  std::string lines;
  ask("GET /v1/memories/export").stream([&](std::string_view line) { return lines += line, true; });
  const Json there = good("POST /v1/memories/import", lines);
  EXPECT_EQ(there["present"], Json(2));
  const Json came = good("POST /v1/memories/import", lines, "bob");
  EXPECT_EQ(came["added"], Json(2));
  EXPECT_EQ(good("GET /v1/memories", "", "bob")["data"].as_array()[0]["trust"], Json("outside"));
}

TEST(Filter, KnowsMem0sLanguage) {
  const Json memory = *parse_json(R"({"user_id":"u","created_at":"2024-07-05T00:00:00Z",
    "metadata":{"n":3,"tags":["a","b"]},"categories":["food"],"run_id":null})");
  const auto holds = [&](const char* filter) {
    const Json json = *parse_json(filter);
    EXPECT_TRUE(check_filter(json).ok()) << filter;
    return passes(json, memory);
  };
  for (const char* filter :
       {R"({})", R"({"user_id":"u"})",
        R"({"AND":[{"user_id":"u"},{"created_at":{"gte":"2024-07-01","lt":"2024-08"}}]})",
        R"({"OR":[{"user_id":"x"},{"n":3}]})", R"({"NOT":[{"user_id":"x"}]})",
        R"({"metadata":{"n":{"gt":2}}})", R"({"categories":{"contains":"food"}})",
        R"({"user_id":{"in":["u","v"]}})", R"({"user_id":"*"})", R"({"tags":{"contains":"b"}})",
        R"({"user_id":{"icontains":"U"}})"}) {
    EXPECT_TRUE(holds(filter)) << filter;
  }
  for (const char* filter :
       {R"({"user_id":"x"})", R"({"run_id":"*"})", R"({"n":{"gt":3}})", R"({"NOT":[{"user_id":"u"}]})",
        R"({"user_id":{"gt":5}})", R"({"metadata":"n"})", R"({"OR":[]})"}) {
    EXPECT_FALSE(holds(filter)) << filter;
  }
  for (const char* filter : {"[]", R"({"AND":{}})", R"({"a":{"like":"x"}})", R"({"OR":[1]})"})
    EXPECT_FALSE(check_filter(*parse_json(filter)).ok()) << filter;
}

}  // namespace
}  // namespace varve
