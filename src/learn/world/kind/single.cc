// One fact is asked for; up to eight memories stand around it. "name" is asked of the user here, too.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

Fact target_of(Scene& scene) {
  if (scene.draw.chance(0.04)) {
    if (auto name = scene.fact(scene.grammar.relation("name"), {})) return *name;
  }
  return scene.any_fact([](const Relation& r) { return r.has("ask") && !r.multi; });
}

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  const Fact target = target_of(scene);
  dialogue.greet();
  dialogue.remember(target);
  dialogue.crowd(scene.draw.range(crowd.low, crowd.high), target);
  dialogue.ask(ask_any(scene, target));
  dialogue.more(crowd.more);
  return dialogue.item("single");
}

}  // namespace

Made single(const Spec& spec) {
  return crowded(spec, make, {0, 8, 3});
}

}  // namespace varve::world::kind
