// Dialogue: writes an Item: what is remembered around the question, the exchanges, the values that would be
// wrong. Every answer can be found in what the conversation shows.
#pragma once

#include <string>
#include <vector>

#include "learn/world/kind.h"
#include "learn/world/question.h"
#include "learn/world/statement.h"

namespace varve::world {

class Dialogue {
 public:
  explicit Dialogue(Scene& scene) : scene_(scene) {}

  void remember(const Fact& fact);      // may be asked for by more()
  void remember_old(const Fact& fact);  // no longer holds
  void remember(Recalled line) { lines_.push_back(std::move(line)); }
  // `count` more memories, some close to the target: the same of others, other things of the same person,
  // questions asked before, small talk.
  void crowd(int count, const Fact& target);
  void exchange(std::string user, std::string assistant);
  void greet();                      // sometimes: small talk or a told fact comes first
  void tell(const Fact& fact);       // beside what is remembered; the assistant says that it will remember
  void values_of(const Fact& fact);  // count as wrong in other answers
  // The question under everything remembered. In training others follow it over the same memories.
  void ask(const Question& question);
  void more(int most);
  Item item(std::string kind);

 private:
  void say(std::string_view role, std::string content);
  Question another(const Fact& fact);
  void under_memories(const std::string& user, const std::string& assistant);

  Scene& scene_;
  std::vector<Recalled> lines_;
  std::vector<Fact> facts_;
  std::vector<std::string> values_;
  Question last_;
  Item item_;
};

// Recalled lines as an instruction would hide in them.
Recalled hostile_line(Scene& scene);

}  // namespace varve::world
