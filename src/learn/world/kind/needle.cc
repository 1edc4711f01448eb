// The answer lies far away: in a long text that comes with the question, or early in a long conversation.
#include <algorithm>

#include "learn/world/dialogue.h"
#include "learn/world/language/text.h"
#include "learn/world/prose.h"

namespace varve::world::kind {
namespace {

struct Options {
  int least = 2000, most = 14000;  // bytes of hay
};

const std::vector<Sentence> kIntros = {{"Here is a text.\n\n{t}\n\n{q}"},
                                       {"Read this:\n\n{t}\n\n{q}"},
                                       {"{t}\n\n{q}"},
                                       {"Please read the text and answer.\n\n{t}\n\nQuestion: {q}"},
                                       {"This is what I wrote down:\n\n{t}\n\n{q}"},
                                       {"I have a text for you.\n\n{t}\n\nNow answer this: {q}", true},
                                       {"Text:\n\n{t}\n\n{q}", true}};

bool simple(const Relation& r) {
  return r.has("ask") && !r.multi;
}

std::string needle_sentence(Scene& scene, const Fact& fact) {
  return scene.draw.chance(0.5) ? capitalised(canonical(scene, fact, Voice::user)) + "."
                                : framed("{s}.", "{s}", stated(scene, fact, Voice::user));
}

std::string hay(Scene& scene) {
  const int sort = scene.draw.below(6);
  return sort < 3 ? story(scene) : sort < 5 ? description(scene) : letter(scene);
}

void in_text(Scene& scene, Dialogue& dialogue, const Fact& target, int bytes) {
  std::vector<std::string> paragraphs;
  for (int size = 0; size < bytes; size += int(paragraphs.back().size()) + 2)
    paragraphs.push_back(hay(scene));
  const size_t at = size_t(scene.draw.below(int(paragraphs.size()) + 1));
  paragraphs.insert(paragraphs.begin() + at, needle_sentence(scene, target));
  std::string text;
  for (const std::string& one : paragraphs) text += (text.empty() ? "" : "\n\n") + one;
  Question question = ask_any(scene, target);
  const std::string& intro = choose(kIntros, scene.split, scene.draw).text;
  question.text = replaced(replaced(intro, "{q}", question.text), "{t}", text);
  dialogue.ask(question);
}

void in_talk(Scene& scene, Dialogue& dialogue, const Fact& target, int bytes) {
  const int place = scene.draw.below(bytes);
  bool told_it = false;
  for (int size = 0; size < bytes;) {
    if (!told_it && size >= place) {
      dialogue.tell(target);
      told_it = true;
    }
    if (scene.draw.chance(0.4)) {
      Fact other = scene.any_fact(simple);
      dialogue.tell(other);
      size += 160;
    } else if (scene.draw.chance(0.3)) {
      const SmallTalk& talk = scene.draw.pick(scene.grammar.small_talk());
      const std::string in = capitalised(choose(talk.in, scene.split, scene.draw).text);
      dialogue.exchange(in + ".", talk.out);
      size += int(in.size() + talk.out.size()) + 30;
    } else {
      const std::string text = hay(scene);
      dialogue.exchange(text, "Thank you for telling me.");
      size += int(text.size()) + 60;
    }
  }
  if (!told_it) dialogue.tell(target);
  dialogue.ask(ask_any(scene, target));
}

Item make(Scene& scene, const Options& options) {
  Dialogue dialogue(scene);
  Fact target = scene.any_fact(simple);
  target.said = scene.now + 400 * kDayMs;  // far from the day of an event: the date is written out
  dialogue.values_of(target);
  const int bytes = scene.draw.range(options.least, options.most);
  if (scene.draw.chance(0.6)) {
    in_text(scene, dialogue, target, bytes);
  } else {
    in_talk(scene, dialogue, target, bytes);
  }
  dialogue.more(3);
  return dialogue.item("needle");
}

}  // namespace

Made needle(const Spec& spec) {
  Options options;
  int exact = 0;
  TRY(OptionReader(spec)
          .read("least", options.least, 100, 1 << 20)
          .read("most", options.most, 100, 1 << 20)
          .read("bytes", exact, 100, 1 << 20)
          .done());
  if (exact > 0) options = {exact, exact};
  if (options.most < options.least) return Status(Code::invalid, "most= is less than least=");
  return std::unique_ptr<Kind>(new Simple<Options>(make, options));
}

}  // namespace varve::world::kind
