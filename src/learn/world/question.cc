#include "learn/world/question.h"

#include <algorithm>

#include "core/base/check.h"
#include "learn/world/language/text.h"
#include "learn/world/statement.h"

namespace varve::world {
namespace {

std::string section_of(std::string_view base, char slot) {
  return slot == 'v' ? std::string(base) : std::string(base) + "." + slot;
}

std::string rendered(const Scene& scene, std::string_view sentence, const Fact& fact, const Subject& subject,
                     Voice voice) {
  return render(sentence, filling(scene, fact, subject, voice));
}

std::string answer_sentence(std::string text) {
  return capitalised(std::move(text)) + ".";
}

// Hurried people leave out capitals and marks, and swap letters.
std::string hurried(Scene& scene, std::string text) {
  Draw& draw = scene.draw;
  if (draw.chance(0.08)) {
    while (!text.empty() && (text.back() == '?' || text.back() == '.')) text.pop_back();
    if (text.size() > 1 && text[1] != ' ' && text[1] != '\'') text[0] = lower(text.substr(0, 1))[0];
  }
  if (scene.split == Split::train && draw.chance(0.03)) {
    const size_t at = size_t(draw.below(int(text.size())));
    const auto small = [&](size_t i) { return i < text.size() && text[i] >= 'a' && text[i] <= 'z'; };
    if (at > 0 && small(at - 1) && small(at) && small(at + 1) && small(at + 2))
      std::swap(text[at], text[at + 1]);
  }
  return text;
}

void make_brief(Scene& scene, Question& question) {
  const bool whole = question.text.ends_with('?') || question.text.ends_with('.');
  if (!whole || !scene.draw.chance(0.1)) return;
  const Sentence& frame = choose(scene.grammar.frames("brief"), scene.split, scene.draw);
  question.text += " " + frame.text;
  question.reply = question.answer + ".";  // as it was said: to copy is the task
}

// The question of a fact, plain or indirect.
Question asked_in(Scene& scene, const Fact& fact, const Subject& subject, char slot) {
  const Relation& r = *fact.relation;
  const bool indirect = scene.draw.chance(0.4);
  const auto found = r.sections.find(section_of(indirect ? "ind" : "ask", slot));
  CHECK(found != r.sections.end(), "a relation cannot be asked so");
  const Sentence& core = choose(found->second, scene.split, scene.draw);
  return question_of(scene, core, indirect, rendered(scene, core.text, fact, subject, Voice::user));
}

std::string value_of(const Fact& fact, char slot) {
  return slot == 'v' ? fact.v : slot == 'w' ? fact.w : date_words(fact.when);
}

}  // namespace

bool can_ask(const Relation& relation, std::string_view section) {
  return relation.has(section);
}

Question question_of(Scene& scene, const Sentence& core, bool indirect, std::string words) {
  const Sentence& frame =
      choose_beside(core, scene.grammar.frames(indirect ? "ind" : "ask"), scene.split, scene.draw);
  Question question;
  question.core = core.text;
  question.frame = frame.text;
  question.text = hurried(scene, framed(frame.text, indirect ? "{i}" : "{q}", std::move(words)));
  return question;
}

Question ask(Scene& scene, const Fact& fact, const Subject& asked, char slot) {
  Question question = asked_in(scene, fact, asked, slot);
  question.answer = value_of(fact, slot);
  question.reply = answer_sentence(
      rendered(scene, fact.relation->only(section_of("rep", slot)), fact, asked, Voice::reply));
  make_brief(scene, question);
  return question;
}

Question ask_any(Scene& scene, const Fact& fact) {
  std::vector<char> slots;
  for (char slot : {'v', 'w', 'd'}) {
    if (can_ask(*fact.relation, section_of("ask", slot))) slots.push_back(slot);
  }
  return ask(scene, fact, scene.asked(fact.subject), scene.draw.pick(slots));
}

Question ask_bridged(Scene& scene, const Fact& fact) {
  Subject link = fact.subject, both = fact.subject;
  link.style = Subject::Style::link;
  both.style = Subject::Style::both;
  Question question = asked_in(scene, fact, link, 'v');
  question.answer = fact.v;
  question.reply = answer_sentence(rendered(scene, fact.relation->only("rep"), fact, both, Voice::reply));
  return question;
}

Question ask_unknown(Scene& scene, const Fact& fact) {
  std::vector<char> slots = {'v'};
  if (can_ask(*fact.relation, "ask.d")) slots.push_back('d');
  const char slot = scene.draw.pick(slots);
  const Subject subject = scene.asked(fact.subject);
  Question question = asked_in(scene, fact, subject, slot);
  question.answer = "unknown";
  question.reply =
      "I don't know " +
      rendered(scene, fact.relation->only(section_of("ind", slot)), fact, subject, Voice::reply) + ".";
  return question;
}

Question ask_whether(Scene& scene, const Fact& fact, const std::string& v) {
  const Relation& r = *fact.relation;
  Fact proposed = fact;
  proposed.v = v;
  const Subject subject = scene.asked(fact.subject);
  const Sentence& core = choose(r.sections.find("yes")->second, scene.split, scene.draw);
  Question question =
      question_of(scene, core, false, rendered(scene, core.text, proposed, subject, Voice::user));
  const bool yes = v == fact.v && !fact.denied;
  question.answer = yes ? "yes" : "no";
  const char* section = fact.denied ? "no" : "rep";
  question.reply =
      (yes ? "Yes, " : "No, ") + rendered(scene, r.only(section), fact, subject, Voice::reply) + ".";
  return question;
}

Question ask_whether_unknown(Scene& scene, const Fact& fact) {
  const Relation& r = *fact.relation;
  const Subject subject = scene.asked(fact.subject);
  const Sentence& core = choose(r.sections.find("yes")->second, scene.split, scene.draw);
  Question question = question_of(scene, core, false, rendered(scene, core.text, fact, subject, Voice::user));
  question.answer = "unknown";
  question.reply = "I don't know if " + rendered(scene, r.only("rep"), fact, subject, Voice::reply) + ".";
  return question;
}

Question ask_who(Scene& scene, const Fact& fact) {
  const Relation& r = *fact.relation;
  const char* section = fact.denied ? "whonot" : "who";
  const Sentence& core = choose(r.sections.find(section)->second, scene.split, scene.draw);
  Question question =
      question_of(scene, core, false, rendered(scene, core.text, fact, fact.subject, Voice::user));
  question.answer = nominative(scene.cast, fact.subject, Voice::reply);
  const std::string_view form =
      fact.denied ? r.only("no") : r.only(r.has("rep.w") && r.link ? "rep.w" : "rep");
  question.reply = answer_sentence(rendered(scene, form, fact, fact.subject, Voice::reply));
  if (fact.subject.being == 0 && fact.subject.thing.empty())
    question.answer = r.link || form.starts_with("{P}") ? "your" : "you";
  return question;
}

Question ask_before(Scene& scene, const Fact& fact) {
  const Relation& r = *fact.relation;
  const Subject subject = scene.asked(fact.subject);
  const Sentence& core = choose(r.sections.find("was")->second, scene.split, scene.draw);
  Question question = question_of(scene, core, false, rendered(scene, core.text, fact, subject, Voice::user));
  question.answer = fact.o;
  question.reply = answer_sentence(rendered(scene, r.only("wrep"), fact, subject, Voice::reply));
  return question;
}

Question ask_when_told(Scene& scene, const Fact& fact) {
  static const std::vector<Sentence> cores = {{"when did I tell you that {f}"},
                                              {"when did I say that {f}"},
                                              {"on which day did I tell you that {f}"},
                                              {"when did I mention that {f}"},
                                              {"on what date did I say that {f}"},
                                              {"on what day was it that I told you that {f}"},
                                              {"what day was it when I said that {f}"},
                                              {"which date was it when I mentioned that {f}"},
                                              {"since when have you known that {f}"},
                                              {"when was it that you heard from me that {f}"},
                                              {"on which date did you hear that {f}"},
                                              {"when did I let you know that {f}"},
                                              {"at what date did I write to you that {f}"},
                                              {"what is the day on which I told you that {f}"},
                                              {"what was the date when I told you that {f}", true},
                                              {"on which day did I mention that {f}", true}};
  const Sentence& core = choose(cores, scene.split, scene.draw);
  Question question =
      question_of(scene, core, false, replaced(core.text, "{f}", canonical(scene, fact, Voice::user)));
  question.answer = date_words(fact.said);
  question.reply = "You told me on " + question.answer + ".";
  return question;
}

}  // namespace varve::world
