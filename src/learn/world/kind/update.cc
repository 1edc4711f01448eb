// Something changed once or twice; the newest memory counts, wherever it stands.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  Fact target = scene.any_fact([](const Relation& r) { return r.changes && r.has("ask"); });
  dialogue.greet();
  const int changes = scene.draw.chance(0.3) ? 2 : 1;
  for (int i = 0; i < changes; ++i) {
    dialogue.remember_old(target);
    target = scene.change(target);
  }
  dialogue.remember(target);
  dialogue.crowd(scene.draw.range(crowd.low, crowd.high), target);
  dialogue.ask(ask(scene, target, scene.asked(target.subject), 'v'));
  dialogue.more(crowd.more);
  return dialogue.item("update");
}

}  // namespace

Made update(const Spec& spec) {
  return crowded(spec, make, {0, 8, 2});
}

}  // namespace varve::world::kind
