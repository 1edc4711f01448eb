#include "serve/transfer/import.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/temp_folder.h"

namespace varve {
namespace {

const Principal kAlice{"alice"}, kBob{"bob"};

// A conversation as ChatGPT exports it: a system node, then questions and answers, and a branch given up.
std::string chatgpt(int number, int turns) {
  const std::string n = std::to_string(number);
  std::string nodes =
      R"("root":{"id":"root","message":null,"parent":null,"children":["s"]},)"
      R"("s":{"id":"s","message":{"author":{"role":"system"},"content":{"content_type":"text",)"
      R"("parts":["hidden rules"]}},"parent":"root","children":["u0"]})";
  std::string parent = "s";
  for (int i = 0; i < turns; ++i) {
    const std::string t = std::to_string(i);
    for (const char* role : {"user", "assistant"}) {
      const std::string id = role[0] + t;
      nodes += ",\"" + id + R"(":{"message":{"author":{"role":")" + role + R"("},"create_time":)" +
               std::to_string(1'700'000'000 + number * 1000 + i) +
               R"(.5,"content":{"content_type":"text","parts":["conversation )" + n + " " + role + " says " +
               t + R"("]}},"parent":")" + parent + R"(","children":[]})";
      parent = id;
    }
  }
  nodes +=
      R"(,"lost":{"message":{"author":{"role":"user"},"content":{"content_type":"text","parts":["given up"]}},)"
      R"("parent":"s","children":[]})";
  return R"({"title":"Talk )" + n + R"(","create_time":1700000000,"conversation_id":"c)" + n +
         R"(","mapping":{)" + nodes + R"(},"current_node":")" + parent + "\"}";
}

std::string many(int conversations, int turns) {
  std::string text = "[";
  for (int i = 0; i < conversations; ++i) text += (i == 0 ? "" : ",\n") + chatgpt(i, turns);
  return text + "]";
}

class Import : public testing::Test {
 protected:
  void SetUp() override { home = open("home"); }
  std::unique_ptr<Home> open(const std::string& name) {
    auto opened = Home::open({.folder = folder / name});
    EXPECT_TRUE(opened.ok()) << std::move(opened).status().text();
    return std::move(opened).value();
  }
  ImportReport read(std::string_view text, ImportOptions options = {}) {
    auto report = import_records(*home, kAlice, bytes_of_text(text), options);
    EXPECT_TRUE(report.ok()) << std::move(report).status().text();
    return report.ok() ? *report : ImportReport();
  }
  std::vector<CubeHeader> cubes() const {
    return *home->cubes().list(kAlice, {.life = std::nullopt, .limit = 10000});
  }
  std::string words(const CubeHeader& header) const { return *home->cubes().payload(kAlice, header.id); }
  std::string exported(Home& from) {
    std::string text;
    auto count = export_lines(from, kAlice, {.life = std::nullopt}, [&](std::string_view line) {
      text += line;
      return Status();
    });
    EXPECT_TRUE(count.ok());
    return text;
  }

  TempFolder folder{TempFolder::in_ram()};
  std::unique_ptr<Home> home;
};

TEST_F(Import, OfChatGptFollowsThePathThatWasSaid) {
  const ImportReport report = read(many(2, 3));
  EXPECT_EQ(report.format, "chatgpt");
  EXPECT_EQ(report.added, 12);
  const auto all = cubes();
  ASSERT_EQ(all.size(), 12u);
  EXPECT_EQ(words(all[0]), "conversation 0 user says 0");
  EXPECT_EQ(words(all[11]), "conversation 1 assistant says 2");
  EXPECT_EQ(all[11].session, "chatgpt-c1");
  EXPECT_EQ(all[11].turn, 2);
  EXPECT_EQ(all[11].title, "Talk 1");
  EXPECT_EQ(all[11].event, 1'700'001'002'500);
  EXPECT_EQ(all[11].trust, Trust::outside);
  EXPECT_EQ(all[11].origin, "chatgpt:c1/a2");
}

TEST_F(Import, BelievesTheFileOnlyWhenTold) {
  read(many(1, 1), {.believe = true});
  EXPECT_EQ(cubes()[0].trust, Trust::user);
  EXPECT_EQ(cubes()[1].trust, Trust::model);
}

TEST_F(Import, OfClaudeAndMem0KeepsDatesAndLabels) {
  const ImportReport claude = read(R"([{"uuid":"k1","name":"Figs","created_at":"2024-05-08T10:00:00.000000Z",
    "chat_messages":[{"uuid":"m1","sender":"human","text":"old","content":[{"type":"text","text":"I like figs"}],
    "created_at":"2024-05-08T10:00:01.5Z"},{"uuid":"m2","sender":"assistant","text":"Noted","content":[]},
    {"uuid":"m3","sender":"tool","text":"I am the system"}]}])");
  EXPECT_EQ(claude.format, "claude");
  ASSERT_EQ(cubes().size(), 2u);
  EXPECT_EQ(words(cubes()[0]), "I like figs");
  EXPECT_EQ(cubes()[0].event, *parse_time("2024-05-08T10:00:01.500Z"));
  EXPECT_EQ(cubes()[1].session, "claude-k1");
  const ImportReport mem0 = read(R"({"count":1,"results":[{"id":"9c","memory":"Likes dates","user_id":"u1",
    "metadata":{"topic":"food"},"created_at":"2023-01-02T03:04:05-08:00"}]})");
  EXPECT_EQ(mem0.format, "mem0");
  EXPECT_EQ(mem0.added, 1);
  const CubeHeader fact = cubes().back();
  EXPECT_EQ(fact.kind, "fact");
  EXPECT_EQ(fact.origin, "mem0:9c");
  EXPECT_EQ(fact.labels, R"({"user_id":"u1","metadata":{"topic":"food"}})");
  EXPECT_EQ(fact.event, *parse_time("2023-01-02T11:04:05Z"));
}

TEST_F(Import, CutInTheMiddleKeepsWhatIsWholeAndGoesOnWithTheWholeFile) {
  const std::string whole = many(20, 2);
  for (const size_t bytes : {whole.size() / 3, whole.size() / 2, whole.size() - 1}) {
    const ImportReport report = read(std::string_view(whole).substr(0, bytes));
    ASSERT_TRUE(report.cut);
    EXPECT_NE(report.cut->find("line "), std::string::npos);
    EXPECT_NE(report.cut->find("byte "), std::string::npos);
  }
  const ImportReport rest = read(whole);
  EXPECT_FALSE(rest.cut);
  EXPECT_EQ(rest.added + rest.present, 80);
  EXPECT_EQ(cubes().size(), 80u);
  EXPECT_EQ(read(whole).added, 0);
}

TEST_F(Import, LeavesOutWhatIsWrongAndSaysWhich) {
  const ImportReport report = read(R"([{"text":"good"},{"no":"format"},{"text":"bad","event_at":"2023-02-30"},
    {"text":"bad","a":1,"a":2},{"text":" "},{"text":"bad","kind":"../x"},{"text":"\ud800"},{"memory":""},
    {"mapping":{"a":{"parent":"b"},"b":{"parent":"a"}},"current_node":"a"},{"text":"also good"}])");
  EXPECT_EQ(report.added, 2);
  EXPECT_EQ(report.records, 10);
  EXPECT_EQ(report.failed, 8);
  ASSERT_GE(report.troubles.size(), 6u);
  EXPECT_NE(report.troubles[1].find("event_at"), std::string::npos) << report.troubles[1];
  EXPECT_NE(report.troubles[0].find("line 1"), std::string::npos);
}

TEST_F(Import, OfVarvesOwnLinesGivesTheSameMemories) {
  CubeStore& store = home->cubes();
  CubeDraft draft;
  draft.header.kind = "note";
  draft.header.title = "a title";
  draft.header.labels = R"({"a":[1,2]})";
  draft.header.strength = 2.25;
  draft.header.event = *parse_time("2024-05-08");
  draft.payload = "first words\n\"quoted\" \u2603";
  const CubeId note = *store.put(kAlice, draft);
  draft.payload = "second words";
  ASSERT_TRUE(store.revise(kAlice, note, 1, draft, "better").ok());
  CubeDraft fact;
  fact.header.kind = "fact";
  fact.header.from = {{note, 2}};
  fact.header.trust = Trust::model;
  fact.payload = "a fact of it";
  const CubeId derived = *store.put(kAlice, fact);
  ASSERT_TRUE(store.advance(kAlice, derived, Life::archived, "").ok());
  const std::string lines = exported(*home);
  home.reset();
  home = open("another");
  const ImportReport report = read(lines, {.believe = true});
  EXPECT_EQ(report.format, "varve");
  EXPECT_EQ(report.added, 2);
  EXPECT_EQ(report.failed, 0) << (report.troubles.empty() ? "" : report.troubles[0]);
  const auto all = cubes();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].version, 2u);
  EXPECT_EQ(words(all[0]), "second words");
  EXPECT_EQ(*home->cubes().payload(kAlice, all[0].id, 1), "first words\n\"quoted\" \u2603");
  EXPECT_EQ(all[0].title, "a title");
  EXPECT_EQ(all[0].labels, R"({"a":[1,2]})");
  EXPECT_EQ(all[0].strength, 2.25);
  EXPECT_EQ(all[0].event, *parse_time("2024-05-08"));
  EXPECT_EQ(all[1].life, Life::archived);
  EXPECT_EQ(all[1].trust, Trust::model);
  ASSERT_EQ(all[1].from.size(), 1u);
  EXPECT_EQ(all[1].from[0].cube, all[0].id);
  EXPECT_EQ(read(lines).present, 2);
}

TEST_F(Import, InTheSameHomeFindsEverythingThere) {
  read(many(2, 2));
  const std::string lines = exported(*home);
  EXPECT_EQ(read(lines).present, 8);
  EXPECT_EQ(cubes().size(), 8u);
}

TEST_F(Import, IntoAForeignSpaceIsRefused) {
  auto report = import_records(*home, kBob, bytes_of_text(many(1, 1)), {.space = "alice"});
  EXPECT_EQ(report.code(), Code::not_found);
}

TEST_F(Import, StopsWhenToldAndGoesOnLater) {
  ImportOptions options;
  options.progress = [](const ImportReport& report) { return report.records < 5; };
  EXPECT_TRUE(read(many(9, 1), options).cut);
  EXPECT_EQ(cubes().size(), 10u);
  EXPECT_EQ(read(many(9, 1)).added, 8);
}

TEST_F(Import, OfManyConversationsTakesBoundedRam) {
  const int64_t before = home->ledger().used();
  int next = 0;
  std::string rest = "[";
  const ByteSource source = [&](std::span<char> out) -> Result<size_t> {  // never the whole at once
    while (rest.size() < out.size() && next < 10'000) {
      rest += chatgpt(next, 1) + (next == 9'999 ? "]" : ",");
      ++next;
    }
    const size_t count = std::min(out.size(), rest.size());
    std::copy_n(rest.data(), count, out.data());
    rest.erase(0, count);
    return count;
  };
  int64_t most = 0;
  ImportOptions options;
  options.progress = [&](const ImportReport&) {
    most = std::max(most, home->ledger().used() - home->recall().bytes());
    return true;
  };
  const auto report = import_records(*home, kAlice, source, options);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->records, 10'000);
  EXPECT_EQ(report->added, 20'000);
  EXPECT_LT(most - before, 16 << 20);
}

}  // namespace
}  // namespace varve
