// "What do you know about Anna?": up to four facts of one person, each in its one form, the earlier first;
// or that nothing is known.
#include <algorithm>

#include "learn/world/dialogue.h"
#include "learn/world/language/text.h"

namespace varve::world::kind {
namespace {

const std::vector<Sentence> kCores = {
    {"what do you know about {n}"},       {"what can you tell me about {n}"},
    {"what did I tell you about {n}"},    {"what do you remember about {n}"},
    {"what have I said about {n}", true}, {"which things do you know about {n}", true}};

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  const int being = scene.draw.chance(0.4) ? 0 : scene.add_person();
  const std::string name = being == 0 ? "me" : scene.cast[size_t(being)].name;
  const Sentence& core = choose(kCores, scene.split, scene.draw);
  Question question = question_of(scene, core, false, replaced(core.text, "{n}", name));
  const int count = scene.draw.range(0, 3);
  std::vector<Fact> facts;
  for (int i = 0; i < count; ++i) facts.push_back(scene.about(being));
  std::sort(facts.begin(), facts.end(), [](const Fact& a, const Fact& b) { return a.said < b.said; });
  std::string all;
  std::vector<Recalled> lines;
  for (const Fact& fact : facts) {
    lines.push_back(remembered(scene, fact));
    all += (all.empty() ? "" : " ") + capitalised(canonical(scene, fact, Voice::reply)) + ".";
  }
  const int others = scene.draw.range(crowd.low, crowd.high);
  for (int i = 0; i < others; ++i) {
    const Fact other = scene.any_fact();
    if (other.subject.being != being) lines.push_back(remembered(scene, other));
  }
  question.reply =
      all.empty() ? "I don't know anything about " + std::string(being == 0 ? "you" : name) + "." : all;
  question.answer = all.empty() ? "unknown" : all;
  question.text = with_memories(lines, question.text);
  dialogue.ask(question);
  return dialogue.item("about");
}

}  // namespace

Made about(const Spec& spec) {
  return crowded(spec, make, {0, 5});
}

}  // namespace varve::world::kind
