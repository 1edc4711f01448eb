// The date that stands before a memory is the answer.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  Fact target = scene.any_fact([](const Relation& r) { return !r.multi && !r.dated && !r.plan; });
  target.said = scene.at_some_hour(scene.earlier_day());
  dialogue.remember(turn_of(scene, "user", told(scene, target), target.said));
  dialogue.values_of(target);
  dialogue.crowd(scene.draw.range(crowd.low, crowd.high), target);
  dialogue.ask(ask_when_told(scene, target));
  dialogue.more(crowd.more);
  return dialogue.item("when_told");
}

}  // namespace

Made when_told(const Spec& spec) {
  return crowded(spec, make, {0, 8, 2});
}

}  // namespace varve::world::kind
