// Questions: what is asked of a fact, the answer in its one form, and what must not be in it.
#pragma once

#include <string>
#include <vector>

#include "learn/world/scene.h"

namespace varve::world {

struct Question {
  std::string text;    // as the user says it
  std::string reply;   // the whole answer
  std::string answer;  // what the answer must contain, word for word; "yes", "no", "unknown" say its kind
  std::string core, frame;
};

// slot: 'v', 'w' or 'd', one that the relation can be asked for.
Question ask(Scene& scene, const Fact& fact, const Subject& asked, char slot);
Question ask_any(Scene& scene, const Fact& fact);      // any slot
Question ask_bridged(Scene& scene, const Fact& fact);  // by link; the answer says the name too
Question ask_unknown(Scene& scene, const Fact& fact);  // of a fact that nobody told
Question ask_whether(Scene& scene, const Fact& fact, const std::string& v);  // yes or no
Question ask_whether_unknown(Scene& scene, const Fact& fact);
Question ask_who(Scene& scene, const Fact& fact);
Question ask_before(Scene& scene, const Fact& fact);  // the value before, fact.o
Question ask_when_told(Scene& scene, const Fact& fact);
Question question_of(Scene& scene, const Sentence& core, bool indirect, std::string words);

bool can_ask(const Relation& relation, std::string_view section);

}  // namespace varve::world
