// Phrases: one sentence, written once, said by anybody of anybody. "{S} live{s} in {v}" is "I live in Rome"
// in the user's mouth, "You live in Rome" in the answer, "Anna lives in Rome" of another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve::world {

// Who speaks: the user of himself and others, the assistant to the user, a note that calls the user "the
// user", or the person that the sentence is about.
enum class Voice { user, reply, report, own };

struct Being {
  std::string name;
  char gender = 'n';  // f, m, n
  int owner = -1;     // whose `noun` it is: "sister" of being 0, the user
  std::string noun;
};
using Cast = std::vector<Being>;  // 0 is the user

struct Subject {
  enum class Style { name, link, both };  // Anna; my sister; my sister Anna
  int being = 0;                          // -1: a thing that nobody owns
  Style style = Style::name;
  std::string thing;  // "car": then the sentence is about the being's car
};

struct Filling {
  const Cast& cast;
  const Subject& subject;
  Voice voice = Voice::user;
  std::string v, w, d, o;
};

std::string render(std::string_view sentence, const Filling& filling);  // no capital, no full stop
std::string nominative(const Cast& cast, const Subject& subject, Voice voice);

}  // namespace varve::world
