// Two things happened on two days: which came first, and when was that?
#include "learn/world/dialogue.h"
#include "learn/world/language/text.h"

namespace varve::world::kind {
namespace {

const std::vector<Sentence> kCores = {{"what came first: {a} or {b}"},
                                      {"what happened first: {a} or {b}"},
                                      {"what was earlier: {a} or {b}"},
                                      {"which of the two came first: {a} or {b}"},
                                      {"which was earlier: {a} or {b}"},
                                      {"what was the first of these: {a} or {b}"},
                                      {"which of these two things happened first: {a} or {b}"},
                                      {"what took place earlier: {a} or {b}"},
                                      {"which came before the other: {a} or {b}"},
                                      {"which of these was first: {a} or {b}", true},
                                      {"which happened earlier: {a} or {b}", true}};

std::string event(const Scene& scene, const Fact& fact, Voice voice) {
  return render(fact.relation->only("rep"), filling(scene, fact, fact.subject, voice));
}

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  const Fact one = scene.any_fact([](const Relation& r) { return r.dated; });
  Fact two = one;
  while (two.when == one.when) two = scene.any_fact([](const Relation& r) { return r.dated; });
  const Fact& first = one.when < two.when ? one : two;
  dialogue.remember(one);
  dialogue.remember(two);
  dialogue.crowd(scene.draw.range(crowd.low, crowd.high), one);
  const Sentence& core = choose(kCores, scene.split, scene.draw);
  const std::string words = replaced(replaced(core.text, "{a}", event(scene, one, Voice::user)), "{b}",
                                     event(scene, two, Voice::user));
  Question question = question_of(scene, core, false, words);
  question.answer = date_words(first.when);
  question.reply = capitalised(event(scene, first, Voice::reply)) + " first, on " + question.answer + ".";
  dialogue.ask(question);
  dialogue.more(crowd.more);
  return dialogue.item("order");
}

}  // namespace

Made order(const Spec& spec) {
  return crowded(spec, make, {0, 6, 2});
}

}  // namespace varve::world::kind
