// Yes or no: what is said holds, something else holds, it was denied, or nobody said.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  const Fact target =
      scene.draw.chance(0.4)
          ? scene.any_fact([](const Relation& r) { return r.multi; })
          : scene.any_fact([](const Relation& r) { return r.has("yes") && !r.dated && !r.plan; });
  dialogue.greet();
  const bool known = scene.draw.chance(0.8);
  if (known) dialogue.remember(target);
  dialogue.crowd(scene.draw.range(crowd.low, crowd.high), target);
  if (!known) {
    dialogue.ask(ask_whether_unknown(scene, target));
  } else {
    const bool same = target.relation->multi || scene.draw.chance(0.5);
    dialogue.ask(ask_whether(scene, target, same ? target.v : scene.fresh(target.relation->v)));
  }
  return dialogue.item("whether");
}

}  // namespace

Made whether(const Spec& spec) {
  return crowded(spec, make, {0, 8});
}

}  // namespace varve::world::kind
