#include "run/decode/shape/walker.h"

#include <algorithm>
#include <unordered_set>

namespace varve::shape {

// What is remembered before it is forgotten between two tokens, and what one token may add at most.
constexpr size_t kRemembered = 2000, kPlaces = 50000;      // sets
constexpr size_t kSpots = 1 << 18, kMostSpots = 4u << 20;  // members of all sets
constexpr size_t kFrames = 1 << 17;
constexpr size_t kWidest = 20000;      // members of one set
constexpr int64_t kEffort = 20000000;  // members looked at for one token: a tenth of a second or two

Walker::Walker(const Automaton& automaton) : automaton_(automaton) {
  reset();
}

void Walker::reset() {
  frames_.assign(1, {0, 0, 0});
  frame_ids_.clear();
  spots_.clear();
  places_.assign(1, {});  // kNowhere
  place_ids_.clear();
  moves_.assign(size_t(automaton_.kind_count), kNowhere);
}

int64_t Walker::held_bytes() const {
  constexpr int64_t kNode = 32;  // one of a hash map: link, key, value and what the heap adds
  return int64_t(frames_.capacity() * sizeof(Frame) + spots_.capacity() * sizeof(Spot) +
                 places_.capacity() * sizeof(Held) + moves_.capacity() * sizeof(Place)) +
         kNode * int64_t(frame_ids_.size() + place_ids_.size()) +
         int64_t(sizeof(void*)) * int64_t(frame_ids_.bucket_count() + place_ids_.bucket_count());
}

Walker::Place Walker::start() {
  std::vector<Spot> work{{automaton_.entries[size_t(automaton_.root)], 0}};
  return settle(work);
}

Walker::Place Walker::explore(Place from, uint8_t byte) {
  std::vector<Spot> work;
  const Held held = places_[size_t(from)];
  effort_ += held.count;
  for (uint32_t i = held.first; i < held.first + held.count; ++i) {
    const State& s = automaton_.states[size_t(spots_[i].state)];
    if (automaton_.sets[size_t(s.what)][byte]) work.push_back({s.next, spots_[i].stack});
  }
  const Place to = work.empty() ? kNowhere : settle(work);
  moves_[size_t(from) * size_t(automaton_.kind_count) + automaton_.kinds[byte]] = to;
  return to;
}

int32_t Walker::push(int32_t back, int32_t below) {
  const auto [at, fresh] =
      frame_ids_.emplace(uint64_t(uint32_t(back)) << 32 | uint32_t(below), int32_t(frames_.size()));
  if (fresh) frames_.push_back({back, below, frames_[size_t(below)].depth + 1});
  return at->second;
}

// Follows everything that needs no byte. There is no left recursion, so this ends; what could not come to its
// end within the depth is dropped here, so that whatever stays can be finished.
Walker::Place Walker::settle(std::vector<Spot>& work) {
  std::unordered_set<uint64_t> seen;
  std::vector<Spot> spots;
  bool complete = false;
  while (!work.empty()) {
    const Spot spot = work.back();
    work.pop_back();
    const int32_t depth = frames_[size_t(spot.stack)].depth;
    if (depth + automaton_.needs[size_t(spot.state)] > kDepth) continue;
    if (!seen.insert(uint64_t(uint32_t(spot.state)) << 32 | uint32_t(spot.stack)).second) continue;
    lost_ = lost_ || seen.size() > 8 * kWidest || frames_.size() > 4 * kFrames || (effort_ += 8) > kEffort;
    if (lost_) return kNowhere;
    const State& s = automaton_.states[size_t(spot.state)];
    switch (s.kind) {
      case State::match: spots.push_back(spot); break;
      case State::split: work.insert(work.end(), {{s.next, spot.stack}, {s.what, spot.stack}}); break;
      case State::call: {
        const bool last =
            automaton_.states[size_t(s.next)].kind == State::done;  // needs no frame to return to
        work.push_back({automaton_.entries[size_t(s.what)], last ? spot.stack : push(s.next, spot.stack)});
        break;
      }
      case State::done:
        if (spot.stack == 0) {
          complete = true;
        } else {
          const Frame& frame = frames_[size_t(spot.stack)];
          work.push_back({frame.back, frame.below});
        }
    }
  }
  return number(std::move(spots), complete);
}

Walker::Place Walker::number(std::vector<Spot> spots, bool complete) {
  if (spots.empty() && !complete) return kNowhere;
  std::sort(spots.begin(), spots.end(), [](const Spot& a, const Spot& b) {
    return a.state != b.state ? a.state < b.state : a.stack < b.stack;
  });
  uint64_t hash = complete;
  for (const Spot& spot : spots) {
    hash = (hash ^ (uint64_t(uint32_t(spot.state)) << 32 | uint32_t(spot.stack))) * 0x9E3779B97F4A7C15;
    hash ^= hash >> 29;
  }
  const auto [begin, end] = place_ids_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    const Held& held = places_[size_t(at->second)];
    if (held.complete == complete && held.count == spots.size() &&
        std::equal(spots.begin(), spots.end(), spots_.begin() + held.first)) {
      return at->second;
    }
  }
  lost_ = lost_ || spots.size() > kWidest || places_.size() >= kPlaces ||
          spots_.size() + spots.size() > kMostSpots;
  if (lost_) return kNowhere;
  const Place place = Place(places_.size());
  places_.push_back({uint32_t(spots_.size()), uint32_t(spots.size()), complete});
  spots_.insert(spots_.end(), spots.begin(), spots.end());
  place_ids_.emplace(hash, place);
  moves_.resize(moves_.size() + size_t(automaton_.kind_count), kUnknown);
  return place;
}

bool Walker::trim(Place& at) {
  effort_ = 0;
  if (places_.size() <= kRemembered && spots_.size() <= kSpots && frames_.size() <= kFrames) return false;
  const Held held = places_[size_t(at)];
  std::vector<Spot> spots(spots_.begin() + held.first, spots_.begin() + held.first + held.count);
  const std::vector<Frame> frames = frames_;
  reset();
  std::unordered_map<int32_t, int32_t> moved{{0, 0}};
  for (Spot& spot : spots) {
    std::vector<int32_t> chain;  // frames not moved yet, the top first
    for (int32_t frame = spot.stack; moved.count(frame) == 0; frame = frames[size_t(frame)].below)
      chain.push_back(frame);
    for (size_t i = chain.size(); i-- > 0;) {
      const Frame& frame = frames[size_t(chain[i])];
      moved[chain[i]] = push(frame.back, moved[frame.below]);
    }
    spot.stack = moved[spot.stack];
  }
  at = number(std::move(spots), held.complete);
  return true;
}

}  // namespace varve::shape
