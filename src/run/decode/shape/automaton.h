// Automaton: the rules as byte-level states. Between bytes an answer is at some states, each with a stack of
// the states to return to; walker.h moves it.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <vector>

#include "core/base/status.h"
#include "run/decode/shape/rules.h"

namespace varve::shape {

struct State {
  enum Kind : uint8_t { match, split, call, done };
  Kind kind = done;
  int32_t what = 0;  // match: of sets; split: another state; call: of entries
  int32_t next = 0;
};

struct Automaton {
  std::vector<State> states;
  std::vector<std::bitset<256>> sets;
  std::vector<int32_t> entries;    // the first state of each rule
  std::vector<int16_t> needs;      // of a state: how many more calls lie inside one another before it is done
  std::array<uint8_t, 256> kinds;  // bytes that no set tells apart are of one kind
  int32_t kind_count = 1;
  int32_t root = 0;  // of entries
  int64_t held_bytes() const {
    return int64_t(states.capacity() * sizeof(State) + sets.capacity() * sizeof(sets[0]) +
                   entries.capacity() * sizeof(entries[0]) + needs.capacity() * sizeof(needs[0]));
  }
};
constexpr int16_t kNever = kDepth + 1;  // a state that cannot come to an end

// invalid: too large, left-recursive, or nothing matches it.
Result<Automaton> compile(const Rules& rules, Rule root);

// In automaton_checks.cc. Fills `needs`; invalid when the root cannot end or recurses to the left.
Status check(Automaton& automaton);

}  // namespace varve::shape
