#include "learn/world/language/phrase.h"

#include "core/base/check.h"
#include "learn/world/language/text.h"

namespace varve::world {
namespace {

enum class Person { first, second, third, plural };

std::string being_named(const Cast& cast, int being, Subject::Style style, Voice voice);

std::string possessive_of(const Cast& cast, int being, Subject::Style style, Voice voice) {
  if (voice == Voice::own) return "my";
  if (being == 0 && voice == Voice::user) return "my";
  if (being == 0 && voice == Voice::reply) return "your";
  return being_named(cast, being, style, voice) + "'s";
}

std::string being_named(const Cast& cast, int being, Subject::Style style, Voice voice) {
  if (voice == Voice::own) return "I";
  if (being == 0) return voice == Voice::user ? "I" : voice == Voice::reply ? "you" : "the user";
  const Being& one = cast[size_t(being)];
  if (style == Subject::Style::name || one.owner < 0) return one.name;
  const std::string link = possessive_of(cast, one.owner, Subject::Style::name, voice) + " " + one.noun;
  return style == Subject::Style::link ? link : link + " " + one.name;
}

bool is_plural(const std::string& noun) {
  return noun.size() > 2 && noun.back() == 's' && noun[noun.size() - 2] != 's';
}

Person person_of(const Subject& subject, Voice voice) {
  if (!subject.thing.empty()) return is_plural(subject.thing) ? Person::plural : Person::third;
  if (voice == Voice::own || (subject.being == 0 && voice == Voice::user)) return Person::first;
  return subject.being == 0 && voice == Voice::reply ? Person::second : Person::third;
}

// One column a person: I, you, she, they.
struct Forms {
  std::string_view key, first, second, third, plural;
};
constexpr Forms kForms[] = {
    {"am", "am", "are", "is", "are"},
    {"was", "was", "were", "was", "were"},
    {"have", "have", "have", "has", "have"},
    {"do", "do", "do", "does", "do"},
    {"s", "", "", "s", ""},
    {"es", "", "", "es", ""},
    {"y", "y", "y", "ies", "y"},
};

std::string mention(std::string_view key, const Filling& f) {
  const Person person = person_of(f.subject, f.voice);
  const bool thing = !f.subject.thing.empty();
  if (person == Person::first) return key == "he" ? "I" : key == "his" ? "my" : "me";
  if (person == Person::second) return key == "he" ? "you" : key == "his" ? "your" : "you";
  if (person == Person::plural) return key == "he" ? "they" : key == "his" ? "their" : "them";
  const char gender = thing || f.subject.being < 0 ? 'n' : f.cast[size_t(f.subject.being)].gender;
  if (!thing && f.subject.being == 0) return key == "he" ? "the user" : key == "his" ? "their" : "them";
  if (gender == 'f') return key == "he" ? "she" : "her";
  if (gender == 'm') return std::string(key);
  return key == "his" ? "its" : "it";
}

std::string object_of(const Filling& f) {
  if (!f.subject.thing.empty() || person_of(f.subject, f.voice) == Person::third)
    return nominative(f.cast, f.subject, f.voice);
  return mention("him", f);
}

std::string owned_by(const Filling& f) {
  if (f.subject.thing.empty()) return possessive_of(f.cast, f.subject.being, f.subject.style, f.voice);
  return nominative(f.cast, f.subject, f.voice) + (is_plural(f.subject.thing) ? "'" : "'s");
}

std::string slot(std::string_view key, const Filling& f) {
  if (key == "v") return f.v;
  if (key == "w") return f.w;
  if (key == "d") return f.d;
  if (key == "o") return f.o;
  if (key == "a v") return with_article(f.v);
  if (key == "a w") return with_article(f.w);
  if (key == "a o") return with_article(f.o);
  if (key == "S") return nominative(f.cast, f.subject, f.voice);
  if (key == "P") return owned_by(f);
  if (key == "O") return object_of(f);
  if (key == "I") return f.voice == Voice::reply ? "you" : f.voice == Voice::report ? "the user" : "I";
  if (key == "he" || key == "his" || key == "him") return mention(key, f);
  for (const Forms& forms : kForms) {
    if (forms.key != key) continue;
    const Person person = person_of(f.subject, f.voice);
    return std::string(person == Person::first    ? forms.first
                       : person == Person::second ? forms.second
                       : person == Person::third  ? forms.third
                                                  : forms.plural);
  }
  CHECK(false, "a sentence of the grammar has a slot that nothing fills");
  return {};
}

}  // namespace

std::string nominative(const Cast& cast, const Subject& subject, Voice voice) {
  if (subject.thing.empty()) return being_named(cast, subject.being, subject.style, voice);
  if (subject.being < 0) return "the " + subject.thing;
  return possessive_of(cast, subject.being, subject.style, voice) + " " + subject.thing;
}

std::string render(std::string_view sentence, const Filling& filling) {
  std::string out;
  while (!sentence.empty()) {
    const size_t open = sentence.find('{');
    out += sentence.substr(0, open);
    if (open == sentence.npos) break;
    const size_t close = sentence.find('}', open);
    CHECK(close != sentence.npos, "a sentence of the grammar lacks a brace");
    out += slot(sentence.substr(open + 1, close - open - 1), filling);
    sentence.remove_prefix(close + 1);
  }
  return out;
}

}  // namespace varve::world
