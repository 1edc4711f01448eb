// Something changed; asked is what held before.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  const Fact first =
      scene.any_fact([](const Relation& r) { return r.changes && r.has("was") && r.has("wrep"); });
  const Fact now = scene.change(first);
  dialogue.remember_old(first);
  dialogue.remember(now);
  dialogue.crowd(scene.draw.range(crowd.low, crowd.high), now);
  dialogue.ask(ask_before(scene, now));
  dialogue.more(crowd.more);
  return dialogue.item("before");
}

}  // namespace

Made before(const Spec& spec) {
  return crowded(spec, make, {0, 6, 2});
}

}  // namespace varve::world::kind
