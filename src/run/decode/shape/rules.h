// Rules: a grammar as a tree of parts, whoever wrote it (GBNF or a JSON schema). Text is bytes, classes are
// code points.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace varve::shape {

constexpr int32_t kRules = 10000;    // of one grammar
constexpr int32_t kParts = 200000;   // of all its rules together
constexpr int32_t kStates = 100000;  // of the automaton made from them
constexpr int32_t kDepth = 256;      // rules or groups inside one another, at any time

struct Range {
  uint32_t first, last;  // code points, both included
};
using Ranges = std::vector<Range>;
Ranges normalized(Ranges ranges);  // sorted, disjoint
Ranges inverted(const Ranges& ranges);
Ranges without(const Ranges& ranges, const Ranges& taken);

using Part = int32_t;
using Rule = int32_t;
constexpr int32_t kForever = -1;

struct Piece {
  enum Kind : uint8_t { text, chars, rule, sequence, choice, repeat };
  Kind kind = text;
  std::string bytes;            // text
  Ranges ranges;                // chars
  Rule target = 0;              // rule
  int32_t least = 0, most = 0;  // repeat
  std::vector<Part> parts;      // sequence, choice; the one of repeat
};

// Grows until it is full, and then says so once, at compile(): callers need not check each step, only loops
// that would go on for long.
class Rules {
 public:
  Part text(std::string_view bytes);
  Part chars(Ranges ranges);
  Part call(Rule rule);
  Part sequence(std::vector<Part> parts);
  Part choice(std::vector<Part> parts);  // of none: can never match
  Part repeat(Part part, int32_t least, int32_t most);
  Part optional(Part part) { return repeat(part, 0, 1); }
  Part nothing() { return text(""); }

  Rule declare();
  void define(Rule rule, Part part) { bodies_[size_t(rule)] = part; }
  Rule rule(Part part);  // declares and defines

  bool full() const { return full_; }
  const Piece& piece(Part part) const { return pieces_[size_t(part)]; }
  const std::vector<Part>& bodies() const { return bodies_; }

 private:
  Part add(Piece piece);

  std::vector<Piece> pieces_ = std::vector<Piece>(1);  // the first stands for what found no room
  std::vector<Part> bodies_;
  size_t bytes_ = 0;
  bool full_ = false;
};

}  // namespace varve::shape
