// Nothing that is remembered answers the question, though some of it comes near.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  const Fact target = scene.any_fact([](const Relation& r) { return r.has("ask") && !r.multi; });
  dialogue.greet();
  dialogue.crowd(scene.draw.range(crowd.low, crowd.high), target);
  const bool last = scene.split == Split::eval || scene.draw.chance(0.5);
  if (!last) dialogue.ask(ask_unknown(scene, target));
  dialogue.more(crowd.more);
  if (last) dialogue.ask(ask_unknown(scene, target));
  return dialogue.item("unknown");
}

}  // namespace

Made unknown(const Spec& spec) {
  return crowded(spec, make, {0, 12, 2});
}

}  // namespace varve::world::kind
