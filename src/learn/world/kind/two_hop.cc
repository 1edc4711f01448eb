// "Where does my sister live?": one memory says who my sister is, another where that person lives. The
// answer says the name on the way.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

std::optional<Fact> link_of(Scene& scene) {
  const Subject owner = scene.draw.chance(0.7) ? Subject{} : Subject{.being = scene.add_person()};
  const int sort = scene.draw.below(5);
  return scene.fact(scene.grammar.relation(sort < 2 ? "kin" : sort < 4 ? "contact" : "pet"), owner);
}

std::optional<Fact> end_of(Scene& scene, const Fact& link) {
  const std::string of = link.relation->name == "pet" ? "pet" : "person";
  for (;;) {
    const Relation& relation = scene.any_relation();
    if (relation.of != of || relation.multi || relation.link || relation.dated || relation.plan) continue;
    if (!relation.w.empty() || relation.name == "full_name") continue;
    return scene.fact(relation, {.being = link.bound});
  }
}

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  for (;;) {
    const auto link = link_of(scene);
    if (!link) continue;
    const auto end = end_of(scene, *link);
    if (!end) continue;
    dialogue.greet();
    dialogue.remember(*link);
    dialogue.remember(*end);
    dialogue.crowd(scene.draw.range(crowd.low, crowd.high), *end);
    dialogue.ask(ask_bridged(scene, *end));
    dialogue.more(crowd.more);
    return dialogue.item("two_hop");
  }
}

}  // namespace

Made two_hop(const Spec& spec) {
  return crowded(spec, make, {0, 8, 2});
}

}  // namespace varve::world::kind
