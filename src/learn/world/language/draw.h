// Draw: choices, one after another, as a function of a key. The same key gives the same choices on every
// machine; a Draw only remembers how many it has made.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "core/base/rng.h"

namespace varve::world {

class Draw {
 public:
  explicit Draw(const RngKey& key) : key_(key) {}
  uint32_t bits() {
    if (used_ % 4 == 0) block_ = random_block(key_, used_ / 4);
    return block_[used_++ % 4];
  }
  // Uniform in [0, n), n >= 1.
  int below(int n) { return int(uint64_t(bits()) * uint64_t(n) >> 32); }
  int range(int low, int high) { return low + below(high - low + 1); }  // both ends included
  bool chance(double p) { return double(bits()) < p * 0x1p32; }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[size_t(below(int(from.size())))];
  }
  template <class T>
  void shuffle(std::vector<T>& all) {
    for (size_t left = all.size(); left > 1; --left) std::swap(all[left - 1], all[size_t(below(int(left)))]);
  }

 private:
  RngKey key_;
  uint32_t used_ = 0;
  std::array<uint32_t, 4> block_{};
};

}  // namespace varve::world
