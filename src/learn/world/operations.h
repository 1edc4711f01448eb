// Memory operations: what the shipped reflector asks a model, and the right answer. The questions are the
// reflector's own (memory/reflect/fact_questions.h); a test holds them to what it really asks.
#pragma once

#include <string>
#include <vector>

#include "learn/world/kind.h"
#include "memory/reflect/reflector.h"

namespace varve::world {

constexpr int kMostFacts = 8;  // what the reflector allows unless told otherwise

struct Change {  // what is right for a new fact
  std::string fact;
  std::string action;  // add, update, keep
  std::string target;  // the known fact, unless the action is add
};

// A turn in which `facts` are told, dated now; or only small talk or a question when there are none.
Turn exchange_with(Scene& scene, std::vector<Fact>& facts);
std::string fact_text(const Scene& scene, const Fact& fact);  // "The user lives in Rome."

Item extraction(const Turn& turn, const std::vector<std::string>& facts);
Item decision(const std::vector<Change>& changes, const std::vector<std::string>& known);

}  // namespace varve::world
