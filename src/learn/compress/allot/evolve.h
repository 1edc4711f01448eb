// Týr-the-Pruner's evolutionary search (Li et al. 2025, after EvoPress): versions of units that cost bytes,
// so many in all, and one choice of them from which children move bytes between units. All children are
// judged by a little, the best of them by all; the parent stays unless one is better. It knows nothing of
// models.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "core/base/status.h"

namespace varve {

struct SearchSpace {
  std::vector<std::vector<int64_t>> bytes;  // [unit][version], growing
  int64_t limit = 0;                        // of the sum over units
};
struct Candidate {
  std::vector<size_t> chosen;  // a version of each unit
  double loss = std::numeric_limits<double>::infinity();
  int32_t generation = 0;  // so many are behind it
};
struct Evolution {
  int32_t generations = 16, children = 8, finalists = 2;
  uint64_t seed = 0, round = 0;  // of random numbers; a generation depends on nothing before but the parent
};
// What a choice loses, in short or on all that there is to judge by.
using Judge = std::function<Result<double>(std::span<const size_t> chosen, bool whole)>;
// After each generation; who goes on from its candidate ends where an uninterrupted search does.
using Generation = std::function<Status(const Candidate& best)>;

// From `from`, which is within the limit, with its loss if that is known. Deterministic.
Result<Candidate> evolve(const SearchSpace& space, const Evolution& how, Candidate from, const Judge& judge,
                         const Generation& after);

}  // namespace varve
