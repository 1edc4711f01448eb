// The value is given and the one whom it belongs to is asked for.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  const Fact target =
      scene.any_fact([](const Relation& r) { return r.has("who") && (!r.multi || r.has("whonot")); });
  dialogue.greet();
  dialogue.remember(target);
  dialogue.crowd(scene.draw.range(crowd.low, crowd.high), target);
  dialogue.ask(ask_who(scene, target));
  dialogue.more(crowd.more);
  return dialogue.item("who");
}

}  // namespace

Made who(const Spec& spec) {
  return crowded(spec, make, {0, 8, 2});
}

}  // namespace varve::world::kind
