// Walker: moves an answer through an automaton byte by byte. Sets of (state, stack) are numbered when they
// first occur and their moves remembered, so that reading the same kind of text again costs one table look-up
// a byte.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "run/decode/shape/automaton.h"

namespace varve::shape {

class Walker {
 public:
  using Place = int32_t;  // a set of (state, stack)
  static constexpr Place kNowhere = 0;

  explicit Walker(const Automaton& automaton);
  Place start();
  // kNowhere when the byte cannot follow.
  Place step(Place from, uint8_t byte) {
    const Place known = moves_[size_t(from) * size_t(automaton_.kind_count) + automaton_.kinds[byte]];
    return known != kUnknown ? known : explore(from, byte);
  }
  bool complete(Place at) const { return places_[size_t(at)].complete; }

  // To be called before each token. Forgets all but `at` when much was remembered; true when it did, and then
  // `at` is a new number.
  bool trim(Place& at);
  // A set grew beyond what is walked: the grammar is too ambiguous. Stays so.
  bool lost() const { return lost_; }
  int64_t held_bytes() const;

 private:
  static constexpr Place kUnknown = -1;
  struct Frame {
    int32_t back, below, depth;  // the state to return to, the frame under it
  };
  struct Spot {
    int32_t state, stack;  // stack 0: empty
    bool operator==(const Spot&) const = default;
  };
  struct Held {
    uint32_t first = 0, count = 0;  // of spots_
    bool complete = false;
  };

  Place explore(Place from, uint8_t byte);
  Place settle(std::vector<Spot>& work);
  Place number(std::vector<Spot> spots, bool complete);
  int32_t push(int32_t back, int32_t below);
  void reset();

  const Automaton& automaton_;
  std::vector<Frame> frames_;
  std::unordered_map<uint64_t, int32_t> frame_ids_;  // of (back, below)
  std::vector<Spot> spots_;
  std::vector<Held> places_;
  std::unordered_multimap<uint64_t, Place> place_ids_;  // by hash
  std::vector<Place> moves_;                            // place x kind of byte
  int64_t effort_ = 0;                                  // for this token
  bool lost_ = false;
};

}  // namespace varve::shape
