// KeyTable: keys in numbered slots, found by open addressing: the key itself and 5 to 11 bytes. A removed
// key's slot is given to the next one.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/check.h"
#include "memory/cube/cube.h"

namespace varve {

template <class Key>
class KeyTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  uint32_t find(const Key& key) const {
    if (places_.empty()) return kNone;
    for (size_t at = home(key);; at = next(at)) {
      if (places_[at] == kNone || keys_[places_[at]] == key) return places_[at];
    }
  }
  uint32_t add(const Key& key) {  // one that is not there
    if ((size() + 1) * 4 > places_.size() * 3) grow();
    uint32_t slot = uint32_t(keys_.size());
    if (free_.empty()) {
      keys_.push_back(key);
    } else {
      slot = free_.back();
      free_.pop_back();
      keys_[slot] = key;
    }
    place(slot);
    return slot;
  }
  uint32_t remove(const Key& key) {  // its slot, or kNone
    const uint32_t slot = find(key);
    if (slot == kNone) return slot;
    size_t hole = home(key);
    while (places_[hole] != slot) hole = next(hole);
    // What was pushed past the hole moves back, so that no search stops short of it.
    for (size_t at = next(hole); places_[at] != kNone; at = next(at)) {
      const size_t from = home(keys_[places_[at]]);
      if (((at - from) & mask()) < ((at - hole) & mask())) continue;
      places_[hole] = places_[at];
      hole = at;
    }
    places_[hole] = kNone;
    keys_[slot] = Key{};
    free_.push_back(slot);
    if (size() == 0) *this = {};
    return slot;
  }

  const Key& at(uint32_t slot) const { return keys_[slot]; }
  size_t size() const { return keys_.size() - free_.size(); }
  size_t slots() const { return keys_.size(); }  // the highest in use is below
  int64_t bytes() const {
    return int64_t(keys_.capacity() * sizeof(Key) + places_.capacity() * 4 + free_.capacity() * 4);
  }

 private:
  size_t mask() const { return places_.size() - 1; }
  size_t next(size_t at) const { return (at + 1) & mask(); }
  size_t home(const Key& key) const {
    return size_t((uint64_t(std::hash<Key>()(key)) * 0x9E3779B97F4A7C15u) >> 20) & mask();
  }
  void place(uint32_t slot) {
    size_t at = home(keys_[slot]);
    while (places_[at] != kNone) at = next(at);
    places_[at] = slot;
  }
  void grow() {
    const std::vector<uint32_t> old = std::move(places_);
    places_.assign(old.empty() ? 8 : old.size() * 2, kNone);
    CHECK(places_.size() < (uint64_t(1) << 31), "a table holds at most 2^30 keys");
    for (uint32_t slot : old) {
      if (slot != kNone) place(slot);
    }
  }

  std::vector<Key> keys_;
  std::vector<uint32_t> places_, free_;  // places_: a power of two, at most three quarters full
};

}  // namespace varve
