// One fact is asked for among 20 to 40 memories, many of the same sort.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  const Fact target = scene.any_fact([](const Relation& r) { return r.has("ask") && !r.multi; });
  dialogue.remember(target);
  dialogue.crowd(scene.draw.range(crowd.low, crowd.high), target);
  dialogue.ask(ask_any(scene, target));
  dialogue.more(crowd.more);
  return dialogue.item("distract");
}

}  // namespace

Made distract(const Spec& spec) {
  return crowded(spec, make, {20, 40, 8});
}

}  // namespace varve::world::kind
