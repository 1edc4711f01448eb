// Fusion: the lists of several retrievers made one. Scores of two retrievers cannot be compared as they are.
#pragma once

#include <span>
#include <vector>

#include "memory/recall/retriever.h"

namespace varve {

struct RankedList {
  double weight = 1;
  std::span<const Hit> hits;  // best first
};

class Fusion {
 public:
  virtual ~Fusion() = default;
  // What the hit at `rank` (from 0) of a list counts, near 0..1; a cube's counts are weighted and added up.
  virtual double worth(std::span<const Hit> hits, size_t rank) const = 0;
};

std::vector<Hit> fuse(const Fusion& fusion, std::span<const RankedList> lists);  // best first

const Registry<Fusion>& fusions();
namespace fusion {
using Made = Registry<Fusion>::Made;
}

}  // namespace varve
