// Centroids: the middles of lists of vectors, alike ones side by side in groups, so that a vector finds its
// lists without being compared with all of them.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "memory/recall/index/snapshot.h"

namespace varve {

class Centroids {
 public:
  // A list, and how far its middle is: the squared distance less the vector's own square.
  using Near = std::pair<float, uint32_t>;

  // Takes these rows in place of what was there. The number that each has from now on, in their order.
  std::vector<uint32_t> arrange(const std::vector<float>& rows, size_t width);
  size_t count() const { return norms_.size(); }
  std::span<const float> row(uint32_t list) const { return {rows_.data() + list * width_, width_}; }
  float apart(uint32_t a, uint32_t b) const;                                    // squared distance
  std::vector<Near> nearest(std::span<const float> vector, size_t most) const;  // nearest first
  std::vector<Near> nearby(std::span<const float> vector, size_t most) const;   // in the nearest groups only
  int64_t bytes() const { return bytes_of(count(), width_); }
  static int64_t bytes_of(size_t count, size_t width);

  Status save(SnapshotWriter& out) const;
  Status load(SnapshotReader& in, size_t width);

 private:
  void measure();
  void offer(std::span<const float> vector, uint32_t from, uint32_t to, std::vector<Near>& all) const;

  size_t width_ = 0;
  std::vector<float> rows_, norms_;     // norms_: squares of their lengths
  std::vector<uint32_t> starts_;        // of the groups; the last is the end
  std::vector<float> means_, squares_;  // of the groups
};

}  // namespace varve
