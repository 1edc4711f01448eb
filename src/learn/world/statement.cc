#include "learn/world/statement.h"

#include "learn/world/language/text.h"
#include "learn/world/prose.h"

namespace varve::world {
namespace {

std::string near_day(TimeMs when, TimeMs said) {
  const TimeMs days = when / kDayMs - said / kDayMs;
  return days == 0 ? "today" : days == -1 ? "yesterday" : days == 1 ? "tomorrow" : "";
}

bool can_tell_of_self(const Scene& scene, const Fact& fact) {
  const Subject& s = fact.subject;
  return s.being > 0 && s.style == Subject::Style::name && scene.cast[size_t(s.being)].gender != 'n' &&
         scene.cast[size_t(s.being)].owner < 0;
}

std::string session_name(Scene& scene) {
  if (scene.draw.chance(0.5)) return "chat";
  if (scene.draw.chance(0.5)) return "s" + std::to_string(scene.draw.range(1, 40));
  static const std::vector<std::string> names = {"work",  "home", "evening", "monday",
                                                 "notes", "talk", "default"};
  return scene.draw.pick(names);
}

}  // namespace

Filling filling(const Scene& scene, const Fact& fact, const Subject& subject, Voice voice) {
  const std::string day = fact.when == 0 ? "" : "on " + date_words(fact.when);
  return {.cast = scene.cast,
          .subject = subject,
          .voice = voice,
          .v = fact.v,
          .w = fact.w,
          .d = day,
          .o = fact.o};
}

std::string canonical(const Scene& scene, const Fact& fact, const Subject& subject, Voice voice) {
  const Relation& r = *fact.relation;
  const char* section = fact.denied ? "no" : r.has("rep.a") ? "rep.a" : r.dated || r.plan ? "rep.d" : "rep";
  return render(r.only(section), filling(scene, fact, subject, voice));
}
std::string canonical(const Scene& scene, const Fact& fact, Voice voice) {
  return canonical(scene, fact, fact.subject, voice);
}

std::string stated(Scene& scene, const Fact& fact, Voice voice) {
  const Relation& r = *fact.relation;
  const bool changed = !fact.o.empty() && scene.draw.chance(0.7);
  const char* section = fact.denied ? "neg" : changed ? "new" : "say";
  const Sentence& sentence = choose(r.sections.find(section)->second, scene.split, scene.draw);
  Filling f = filling(scene, fact, fact.subject, voice);
  const std::string near = fact.when == 0 ? "" : near_day(fact.when, fact.said);
  if (!near.empty() && voice != Voice::report && scene.draw.chance(0.8)) f.d = near;
  return render(sentence.text, f);
}

std::string framed(std::string_view frame, std::string_view slot, std::string sentence) {
  const size_t at = frame.find(slot);
  std::string before(frame.substr(0, at));
  while (!before.empty() && before.back() == ' ') before.pop_back();
  const bool begins = before.empty() || before.back() == '.' || before.back() == '!' || before.back() == '?';
  if (begins) sentence = capitalised(std::move(sentence));
  return capitalised(std::string(frame.substr(0, at)) + sentence +
                     std::string(frame.substr(at + slot.size())));
}

std::string told(Scene& scene, const Fact& fact) {
  Draw& draw = scene.draw;
  const Sentence& frame = choose(scene.grammar.frames("tell"), scene.split, draw);
  std::string text = framed(frame.text, "{s}", stated(scene, fact, Voice::user));
  if (draw.chance(0.2)) {
    const std::string& around = choose(scene.grammar.frames("around"), scene.split, draw).text;
    text = draw.chance(0.5) ? around + " " + text : text + " " + around;
  }
  return text;
}

Recalled turn_of(Scene& scene, std::string speaker, std::string text, TimeMs said) {
  Recalled one;
  one.header.kind = "turn";
  one.header.speaker = std::move(speaker);
  one.header.session = session_name(scene);
  one.header.turn = scene.draw.below(scene.draw.chance(0.5) ? 10 : 200);
  one.header.event = said;
  one.text = std::move(text);
  return one;
}

namespace {

// A passage of a file that says it among other things.
Recalled passage(Scene& scene, const Fact& fact) {
  static const std::vector<std::string> titles = {"notes.txt", "letter.txt", "diary.txt", "list.txt",
                                                  "people.txt"};
  const std::string sentence = capitalised(canonical(scene, fact, Voice::user)) + ".";
  Recalled one = turn_of(scene, "", "", fact.said);
  one.text = scene.draw.chance(0.5) ? story(scene) + " " + sentence : sentence + " " + description(scene);
  one.header.kind = "document";
  one.header.title = scene.draw.pick(titles);
  one.header.session.clear();
  return one;
}

}  // namespace

Recalled remembered(Scene& scene, const Fact& fact) {
  Draw& draw = scene.draw;
  const int manner = draw.below(20);
  const bool of_user = fact.subject.being == 0;
  if (manner == 19 && !of_user && draw.chance(0.5)) return passage(scene, fact);
  if (can_tell_of_self(scene, fact) && manner < 8) {
    return turn_of(scene, scene.cast[size_t(fact.subject.being)].name,
                   capitalised(stated(scene, fact, Voice::own)) + ".", fact.said);
  }
  if (manner < 11) {
    std::string text = told(scene, fact);
    if (draw.chance(0.15)) {  // one message, two facts; neither is of the near days of the other
      Fact other = scene.any_fact([](const Relation& r) { return !r.dated && !r.plan; });
      other.said = fact.said;
      text += " " + told(scene, other);
    }
    return turn_of(scene, "user", std::move(text), fact.said);
  }
  if (manner < 13) {
    return turn_of(scene, "assistant",
                   "Thank you, I will remember that " + canonical(scene, fact, Voice::reply) + ".",
                   fact.said);
  }
  const bool note = manner < 15;
  std::string text = note               ? stated(scene, fact, Voice::user)
                     : draw.chance(0.7) ? canonical(scene, fact, Voice::report)
                                        : stated(scene, fact, Voice::report);
  Recalled one = turn_of(scene, "", capitalised(std::move(text)) + ".", fact.said);
  one.header.kind = note ? "note" : "fact";
  if (note) one.header.session.clear(), one.header.turn = 0;
  return one;
}

std::string with_memories(const std::vector<Recalled>& recalled, const std::string& words) {
  const std::string block = present(recalled);
  return block.empty() ? words : block + "\n\n" + words;
}

}  // namespace varve::world
