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
    request.role = Access::write;
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
