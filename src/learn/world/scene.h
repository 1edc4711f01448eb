// Scene: the small world of one dialogue: who is in it and what holds, coherent until something changes on a
// date. All choices come from one Draw.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "learn/world/language/draw.h"
#include "learn/world/language/grammar.h"
#include "learn/world/language/lexicon.h"
#include "learn/world/language/phrase.h"

namespace varve::world {

struct Fact {
  const Relation* relation = nullptr;
  Subject subject;
  std::string v, w;
  std::string o;        // the value before, when this is a change
  TimeMs when = 0;      // the day of an event
  TimeMs said = 0;      // when it was said, with the time of day
  bool denied = false;  // it does not hold
  int bound = 0;        // of a link: which being v is
};

class Scene {
 public:
  Scene(Split split, const RngKey& key);

  const Split split;
  Draw draw;
  const Grammar& grammar = Grammar::get();
  const Lexicon& words = Lexicon::get();
  Cast cast;
  TimeMs now = 0;

  // A value of the type that nothing in this scene has yet, unless the type is exhausted.
  std::string fresh(std::string_view type);
  int add_person();                               // known by name alone
  const Relation& any_relation();                 // of anybody and anything, but no name of the user
  Subject subject_for(const Relation& relation);  // a new or a known one
  // Nothing when the subject has one already, or something that would answer the same question.
  std::optional<Fact> fact(const Relation& relation, const Subject& subject);
  Fact any_fact();
  Fact any_fact(bool (*fits)(const Relation&));
  Fact about(int being);  // something of this person
  // The same with a newer value, said later than `old`.
  Fact change(const Fact& old);
  // How a question may name the subject of a fact that was told so.
  Subject asked(const Subject& told);
  TimeMs earlier_day();  // before now; its words belong to the split
  TimeMs at_some_hour(TimeMs day);

 private:
  std::optional<std::string> unseen(std::string_view type);  // nothing when the type is exhausted
  Subject person_subject();
  int add_linked(const std::string& noun, const std::string& name, int owner, std::string_view relation);
  void date(Fact& fact);

  std::set<std::string> values_, claims_;
};

}  // namespace varve::world
