// A recall that knows what the test says, and a writer that answers what the test says.
#pragma once

#include <deque>

#include "memory/reflect/reflector.h"

namespace varve {

struct KnownFacts : Recall {
  std::vector<Recalled> facts;
  mutable std::vector<RecallQuery> asked;

  void know(CubeId id, std::string text, TimeMs event, std::string kind = "fact") {
    Recalled one;
    one.header.id = id;
    one.header.kind = std::move(kind);
    one.header.space = "alice";
    one.header.event = event;
    one.text = std::move(text);
    facts.push_back(std::move(one));
  }
  Result<std::vector<Recalled>> gather(const Principal&, const RecallQuery& query) const override {
    asked.push_back(query);
    return facts;
  }
  int64_t bytes() const override { return 0; }
  void changed(const CubeHeader&, std::string_view) override {}
  void erased(const CubeHeader&) override {}
};

struct ScriptedWriter : Writer {
  std::deque<std::string> answers;
  std::vector<std::string> prompts, schemas;

  Result<std::string> write(std::string_view prompt, std::string_view schema, int) override {
    prompts.emplace_back(prompt);
    schemas.emplace_back(schema);
    if (answers.empty()) return Status(Code::cancelled, "the script has ended");
    std::string answer = std::move(answers.front());
    answers.pop_front();
    return answer;
  }
};

inline Turn said(std::string user, std::string assistant, TimeMs time) {
  Turn turn;
  turn.session = "s1";
  turn.index = 7;
  turn.space = "alice";
  turn.user = std::move(user);
  turn.assistant = std::move(assistant);
  turn.time = time;
  turn.user_cube = CubeId::make(1);
  turn.assistant_cube = CubeId::make(2);
  return turn;
}

}  // namespace varve
