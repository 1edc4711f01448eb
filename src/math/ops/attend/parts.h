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
  int32_t begin = 0, end = int32_t(positions.size());
  if (spec.window > 0) {
    const int64_t oldest = int64_t(query) - spec.window;
    begin = int32_t(std::partition_point(positions.begin(), positions.end(),
                                         [&](int32_t position) { return position <= oldest; }) -
                    positions.begin());
  }
  if (end > 0 && positions[size_t(end) - 1] > query)  // most pages are seen whole
    end = int32_t(std::upper_bound(positions.begin(), positions.end(), query) - positions.begin());
  return {begin, std::max(begin, end)};
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
