#include "memory/recall/rerank.h"

#include <algorithm>

namespace varve {

// Scores and places are sorted, a third of the bytes, and the hits moved once.
void sort_hits(std::vector<Hit>& hits) {
  struct Key {
    float score;
    uint32_t at;
  };
  std::vector<Key> keys(hits.size());
  for (uint32_t i = 0; i < keys.size(); ++i) keys[i] = {hits[i].score, i};
  const auto before = [&](const Key& a, const Key& b) {
    return a.score != b.score ? a.score > b.score : hits[a.at].id < hits[b.at].id;
  };
  if (std::is_sorted(keys.begin(), keys.end(), before)) return;
  std::sort(keys.begin(), keys.end(), before);
  std::vector<Hit> sorted;
  sorted.reserve(hits.size());
  for (const Key& key : keys) sorted.push_back(hits[key.at]);
  hits = std::move(sorted);
}

}  // namespace varve
