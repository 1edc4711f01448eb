#include "learn/world/operations.h"

#include <algorithm>

#include "learn/world/language/text.h"
#include "learn/world/question.h"
#include "learn/world/statement.h"
#include "memory/reflect/derive.h"
#include "memory/reflect/fact_questions.h"

namespace varve::world {
namespace {

Item operation(std::string kind, const Inquiry& question, const Json& answer) {
  Item item;
  item.kind = std::move(kind);
  item.answer = answer.dump();
  item.messages.push(Json::object().set("role", "user").set("content", prompt_of(question)));
  item.messages.push(Json::object().set("role", "assistant").set("content", item.answer));
  item.schema = question.shape.dump();
  item.max_tokens = question.max_tokens;
  return item;
}

void say_nothing(Scene& scene, Turn& turn) {
  const Fact nothing = scene.any_fact([](const Relation& r) { return r.has("ask") && !r.multi; });
  if (scene.draw.chance(0.5)) {
    const Question unknown = ask_unknown(scene, nothing);
    turn.user = unknown.text;
    turn.assistant = unknown.reply;
  } else {
    const SmallTalk& talk = scene.draw.pick(scene.grammar.small_talk());
    turn.user = capitalised(choose(talk.in, scene.split, scene.draw).text) + ".";
    turn.assistant = talk.out;
  }
}

}  // namespace

std::string fact_text(const Scene& scene, const Fact& fact) {
  return capitalised(canonical(scene, fact, Voice::report)) + ".";
}

Turn exchange_with(Scene& scene, std::vector<Fact>& facts) {
  Draw& draw = scene.draw;
  Turn turn;
  turn.time = scene.now;
  for (Fact& fact : facts) {
    fact.said = scene.now;
    const TimeMs today = scene.now / kDayMs;
    if (fact.relation->dated && draw.chance(0.5)) fact.when = (today - draw.below(2)) * kDayMs;
    if (fact.relation->plan) fact.when = (today + draw.range(1, 30)) * kDayMs;
    turn.user += (turn.user.empty() ? "" : " ") + told(scene, fact);
  }
  if (facts.empty()) {
    say_nothing(scene, turn);
  } else if (draw.chance(0.7)) {
    turn.assistant = "Thank you, I will remember that " + canonical(scene, facts.back(), Voice::reply) + ".";
  } else {
    turn.assistant = draw.chance(0.5) ? "Good to know." : "Thank you for telling me.";
  }
  return turn;
}

Item extraction(const Turn& turn, const std::vector<std::string>& facts) {
  Json list = Json::array();
  for (const std::string& one : facts) list.push(one);
  return operation("extract", facts_question(exchange_of(turn), kMostFacts),
                   Json::object().set("facts", std::move(list)));
}

Item decision(const std::vector<Change>& changes, const std::vector<std::string>& known) {
  std::vector<std::string> facts;
  Json list = Json::array();
  for (size_t i = 0; i < changes.size(); ++i) {
    const Change& one = changes[i];
    facts.push_back(one.fact);
    const auto met = std::find(known.begin(), known.end(), one.target);
    const int64_t target = one.action == "add" ? -1 : int64_t(met - known.begin());
    list.push(Json::object().set("fact", int64_t(i)).set("target", target).set("action", one.action));
  }
  return operation("decide", decisions_question(facts, known),
                   Json::object().set("decisions", std::move(list)));
}

}  // namespace varve::world
