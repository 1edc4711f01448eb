// All the foods that somebody likes, languages that somebody speaks: two or three memories make one answer,
// the earlier first; what was denied is left out.
#include <algorithm>

#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

std::string joined(const std::vector<std::string>& values) {
  std::string all;
  for (size_t i = 0; i < values.size(); ++i)
    all += (i == 0 ? "" : i + 1 == values.size() ? " and " : ", ") + values[i];
  return all;
}

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  Fact fact = scene.any_fact([](const Relation& r) { return r.multi; });
  const int count = scene.draw.range(2, 3);
  std::vector<Fact> facts;
  for (int i = 0; i <= count; ++i) {
    fact.denied = i == count;
    if (i > 0) fact.v = scene.fresh(fact.relation->v);
    fact.said = scene.at_some_hour(scene.earlier_day());
    const bool again =
        std::any_of(facts.begin(), facts.end(), [&](const Fact& one) { return one.v == fact.v; });
    if (!again && (!fact.denied || scene.draw.chance(0.4))) facts.push_back(fact);
  }
  std::sort(facts.begin(), facts.end(), [](const Fact& a, const Fact& b) { return a.said < b.said; });
  std::vector<Recalled> lines;
  std::vector<std::string> values;
  for (const Fact& one : facts) {
    lines.push_back(remembered(scene, one));
    if (one.denied) {
      dialogue.values_of(one);
    } else {
      values.push_back(one.v);
    }
  }
  for (int i = scene.draw.range(crowd.low, crowd.high); i > 0; --i) {
    const Fact other = scene.any_fact();
    dialogue.values_of(other);
    lines.push_back(remembered(scene, other));
  }
  fact.denied = false;
  fact.v = joined(values);
  Question question = ask(scene, fact, fact.subject, 'v');
  question.text = with_memories(lines, question.text);
  dialogue.ask(question);
  return dialogue.item("several");
}

}  // namespace

Made several(const Spec& spec) {
  return crowded(spec, make, {0, 5});
}

}  // namespace varve::world::kind
