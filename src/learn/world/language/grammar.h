// Grammar: relations (table/relations_*.inc), frames and small talk as read-only tables.
//
// Sections of a relation: say (stated), new (it changed), neg (denied), rep (the answer's form), ask and ind
// (questions, plain and indirect), yes and no (asked and denied in answers), was and wrep (the value before),
// who and whonot (the subject is asked for). "ask.w" and "ask.d" ask for the second value and the date.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "learn/world/language/lexicon.h"

namespace varve::world {

struct Sentence {
  std::string text;
  bool held_out = false;  // evaluation alone
};

struct Relation {
  std::string name;
  std::string of;        // person, self, pet, company, own:TYPE, the:TYPE
  std::string v, w;      // types of the values; w may be empty
  bool changes = false;  // a newer value takes the older one's place
  bool multi = false;    // several may hold, and it may be denied
  bool dated = false;    // something that happened on a day
  bool plan = false;     // something that will happen on a day
  bool link = false;     // v is a being that is the subject's w
  std::map<std::string, std::vector<Sentence>, std::less<>> sections;

  bool has(std::string_view section) const { return sections.find(section) != sections.end(); }
  const std::string& only(std::string_view section) const;  // its first sentence
};

struct SmallTalk {
  std::vector<Sentence> in;
  std::string out;
};

class Grammar {
 public:
  static const Grammar& get();
  const std::vector<Relation>& relations() const { return relations_; }
  const Relation& relation(std::string_view name) const;
  const std::vector<Sentence>& frames(std::string_view name) const;
  const std::vector<SmallTalk>& small_talk() const { return small_talk_; }

 private:
  Grammar();
  std::vector<Relation> relations_;
  std::map<std::string, std::vector<Sentence>, std::less<>> frames_;
  std::vector<SmallTalk> small_talk_;
};

// One that the split may use. In evaluation a held-out one, if there is any.
const Sentence& choose(const std::vector<Sentence>& from, Split split, Draw& draw);
// ... and when `other`, which it stands with, is not held out. Else any.
const Sentence& choose_beside(const Sentence& other, const std::vector<Sentence>& from, Split split,
                              Draw& draw);

}  // namespace varve::world
