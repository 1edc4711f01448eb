// Facts are told in the conversation, acknowledged, sometimes changed, and asked for later in it. In some,
// memories of earlier days stand with the last question.
#include "learn/world/dialogue.h"

namespace varve::world::kind {
namespace {

struct Options {
  int least = 1, most = 6;  // facts told
};

void chatter(Scene& scene, Dialogue& dialogue) {
  const SmallTalk& talk = scene.draw.pick(scene.grammar.small_talk());
  const Sentence& in = choose(talk.in, scene.split, scene.draw);
  dialogue.exchange(framed("{t}.", "{t}", in.text), talk.out);
}

Item make(Scene& scene, const Options& options) {
  Dialogue dialogue(scene);
  dialogue.greet();
  const int count = scene.draw.range(options.least, options.most);
  std::vector<Fact> facts;
  for (int i = 0; i < count; ++i) {
    facts.push_back(scene.any_fact([](const Relation& r) { return !r.multi && r.has("ask"); }));
    facts.back().said = scene.now;
    if (facts.back().relation->dated) facts.back().when = scene.earlier_day();
    dialogue.tell(facts.back());
    if (scene.draw.chance(0.15)) chatter(scene, dialogue);
  }
  Fact& target = facts[size_t(scene.draw.below(count))];
  const bool changed = target.relation->changes && scene.draw.chance(0.4);
  if (changed) {
    const Fact old = target;
    target = scene.change(old);
    dialogue.values_of(old);
    dialogue.tell(target);
  }
  if (scene.draw.chance(0.25)) dialogue.crowd(scene.draw.range(1, 8), target);
  if (scene.draw.chance(0.15)) {
    const Fact other = scene.any_fact([](const Relation& r) { return !r.multi && r.has("ask"); });
    dialogue.ask(ask_unknown(scene, other));
  } else {
    dialogue.ask(ask_any(scene, target));
  }
  return dialogue.item("chat");
}

}  // namespace

Made chat(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("least", options.least, 1, 200).read("most", options.most, 1, 200).done());
  if (options.most < options.least) return Status(Code::invalid, "most= is less than least=");
  return std::unique_ptr<Kind>(new Simple<Options>(make, options));
}

}  // namespace varve::world::kind
