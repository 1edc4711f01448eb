// The user tells something while memories stand beside it that do not matter, or that it contradicts. The
// answer is the same: it will be remembered.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  dialogue.greet();
  Fact fact = scene.any_fact();
  if (fact.relation->changes && scene.draw.chance(0.4)) {
    dialogue.remember_old(fact);
    fact = scene.change(fact);
  }
  dialogue.crowd(scene.draw.range(crowd.low, crowd.high), fact);
  dialogue.tell(fact);
  dialogue.more(crowd.more);
  return dialogue.item("tell");
}

}  // namespace

Made tell(const Spec& spec) {
  return crowded(spec, make, {1, 8, 2});
}

}  // namespace varve::world::kind
