// What attending and counting attention have in common: which tokens a query sees, and what distance costs.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "math/ops/ops.h"

namespace varve {

struct SeenTokens {  // of a tile
  int32_t begin = 0, end = 0;
};
inline SeenTokens seen_tokens(std::span<const int32_t> positions, int32_t query, const AttendSpec& spec) {
  if (!spec.causal) return {0, int32_t(positions.size())};
  const int32_t window = spec.window;
  const int64_t oldest = window > 0 ? int64_t(query) - window : std::numeric_limits<int64_t>::min();
  const auto begin = std::partition_point(positions.begin(), positions.end(),
                                          [&](int32_t position) { return position <= oldest; });
  const auto end = std::upper_bound(positions.begin(), positions.end(), query);
  return {int32_t(begin - positions.begin()),
          std::max(int32_t(begin - positions.begin()), int32_t(end - positions.begin()))};
}

// Of heads that are no power of two, those beyond the largest one lie between the others (Press et al. 2022).
inline float alibi_slope(const AttendSpec& spec, int32_t head) {
  int32_t power = 1;
  while (power * 2 <= spec.heads) power *= 2;
  const float step = spec.alibi / float(power);
  return std::exp2(head < power ? -step * float(head + 1) : -step / 2 * float(2 * (head - power) + 1));
}

// Adds what each token received of the queries that vote to segment.scores. log_sums [rows][heads]: of the
// exponentials of a query's logits, over all that it saw.
void count_attention(ThreadPool& pool, const AttendSpec& spec, Rows queries, const AttendSegment& segment,
                     std::span<const float> log_sums);

}  // namespace varve
