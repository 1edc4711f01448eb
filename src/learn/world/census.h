// Census: what a stream of items holds: how many of each kind, how long, how many different questions.
#pragma once

#include <map>
#include <set>
#include <string>

#include "learn/world/kind.h"

namespace varve::world {

struct Inventory {  // of the grammar itself
  int64_t relations = 0, sentences = 0, frames = 0, listed_values = 0;
  int64_t question_forms = 0;   // a question of a relation in a frame
  int64_t statement_forms = 0;  // a statement in a frame, in one of four voices
};
Inventory inventory(Split split);

class Census {
 public:
  void add(const Item& item);
  std::string report() const;

 private:
  struct Row {
    int64_t items = 0, bytes = 0, longest = 0, answers = 0, answer_bytes = 0;
  };
  std::map<std::string, Row> rows_;
  std::set<uint64_t> forms_, questions_, words_;
};

}  // namespace varve::world
