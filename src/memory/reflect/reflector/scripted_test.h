// A recall that knows what the test says, a writer that answers what the test says, and a small store with a
// conversation in it.
#pragma once

#include <gtest/gtest.h>

#include <deque>

#include "core/format/json.h"
#include "memory/plaintext/evidence.h"
#include "memory/reflect/reflect.h"
#include "tests/support/temp_folder.h"

namespace varve {

struct ScriptedWriter : Writer {
  std::deque<std::string> answers;
  std::vector<std::string> prompts, schemas;
  std::string (*always)(std::string_view schema) = nullptr;  // when the answers have ended

  Result<std::string> write(std::string_view prompt, std::string_view schema, int) override {
    prompts.emplace_back(prompt);
    schemas.emplace_back(schema);
    if (answers.empty() && always != nullptr) return always(schema);
    if (answers.empty()) return Status(Code::cancelled, "the script has ended");
    std::string answer = std::move(answers.front());
    answers.pop_front();
    return answer;
  }
};

// An answer that obeys a schema: texts say what they are, lists have one item, numbers are the least. What a
// dutiful and unimaginative model would write.
inline Json dutiful(const Json& shape) {
  if (shape.find("enum") != nullptr) return shape["enum"].as_array()[0];
  const std::string& type = shape["type"].as_string();
  if (type == "string") return "Pottery classes matter";
  if (type == "integer") return shape["minimum"].is_int() ? shape["minimum"] : Json(0);
  if (shape["maxItems"] == Json(0)) return Json::array();
  if (type == "array") return Json::array().push(dutiful(shape["items"]));
  Json made = Json::object();
  for (const auto& [name, inner] : shape["properties"].as_object()) made.set(name, dutiful(inner));
  return made;
}
inline std::string dutiful_text(std::string_view schema) {
  return dutiful(*parse_json(schema)).dump();
}

// Alice's store: a folder in RAM, BM25 over it.
class Reflected : public testing::Test {
 protected:
  void SetUp() override {
    clock.time = *parse_time("2024-06-01");
    auto opened = CubeStore::open(posix_env(), folder.path(), ledger, clock);
    ASSERT_TRUE(opened.ok()) << std::move(opened).status().text();
    store = std::move(opened).value();
    recall = std::move(Recall::make("bm25", *store, nullptr, ledger, clock)).value();
  }
  // A turn as a session stores it, with the next index.
  Turn say(const std::string& user, const std::string& assistant = "",
           const std::string& when = "2023-05-08") {
    Turn turn{.session = session, .index = next_++, .space = "alice", .user = user, .assistant = assistant};
    turn.time = *parse_time(when);
    const auto keep = [&](const char* speaker, const std::string& text) {
      return *store->put(alice, turn_draft({session, turn.index, speaker, text, turn.time}, "alice"));
    };
    if (!user.empty()) turn.user_cube = keep("user", user);
    if (!assistant.empty()) turn.assistant_cube = keep("assistant", assistant);
    return turn;
  }
  Known known() const { return {*store, *recall}; }
  std::unique_ptr<Reflector> make(const std::string& spec) {
    auto made = reflectors().make(spec);
    EXPECT_TRUE(made.ok()) << std::move(made).status().text();
    return std::move(made).value();
  }
  Result<std::vector<CubeId>> run(const Reflector& reflector, const Turn& turn, Writer* writer = nullptr) {
    return reflect({alice, *store, *recall, nullptr, writer}, reflector, turn);
  }
  std::vector<CubeHeader> everything() { return cubes("", std::nullopt); }
  std::vector<CubeHeader> cubes(const std::string& kind, std::optional<Life> life = Life::active) {
    CubeFilter filter;
    filter.space = "alice";
    filter.kind = kind;
    filter.life = life;
    filter.limit = 10000;
    return *store->list(alice, filter);
  }
  std::vector<std::string> words(const std::string& kind) {
    std::vector<std::string> all;
    for (const CubeHeader& header : cubes(kind)) all.push_back(*store->payload(alice, header.id));
    return all;
  }

  const Principal alice{"alice"};
  std::string session = "s1";
  TempFolder folder{TempFolder::in_ram()};
  FixedClock clock;
  Ledger ledger{int64_t(1) << 30, 0};
  std::unique_ptr<CubeStore> store;
  std::unique_ptr<Recall> recall;

 private:
  int32_t next_ = 0;
};

}  // namespace varve
