// Greetings, thanks, what the assistant is; a memory or two may stand beside and does not matter.
#include "learn/world/dialogue.h"
#include "learn/world/language/text.h"

namespace varve::world::kind {
namespace {

Item make(Scene& scene, const Crowd& crowd) {
  Dialogue dialogue(scene);
  const Fact nothing = scene.any_fact();
  if (scene.draw.chance(0.3)) dialogue.crowd(scene.draw.range(crowd.low, crowd.high), nothing);
  const int turns = scene.split == Split::eval ? 1 : scene.draw.range(1, 3);
  for (int i = 0; i < turns; ++i) {
    const SmallTalk& talk = scene.draw.pick(scene.grammar.small_talk());
    const Sentence& in = choose(talk.in, scene.split, scene.draw);
    Question question{.text = capitalised(in.text),
                      .reply = talk.out,
                      .answer = talk.out.starts_with("I don't know") ? "unknown" : talk.out,
                      .core = in.text};
    if (scene.draw.chance(0.6))
      question.text += scene.draw.chance(0.5) ? "." : scene.draw.chance(0.5) ? "!" : "?";
    dialogue.ask(question);
  }
  return dialogue.item("small_talk");
}

}  // namespace

Made small_talk(const Spec& spec) {
  return crowded(spec, make, {1, 4});
}

}  // namespace varve::world::kind
