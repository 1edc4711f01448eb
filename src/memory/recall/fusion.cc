#include "memory/recall/fusion.h"

#include <unordered_map>

#include "memory/recall/rerank.h"

namespace varve {

std::vector<Hit> fuse(const Fusion& fusion, std::span<const RankedList> lists) {
  if (lists.size() == 1) {
    std::vector<Hit> hits(lists[0].hits.begin(), lists[0].hits.end());
    for (size_t rank = 0; rank < hits.size(); ++rank)
      hits[rank].score = float(lists[0].weight * fusion.worth(lists[0].hits, rank));
    sort_hits(hits);
    return hits;
  }
  std::unordered_map<CubeId, double> sums;
  for (const RankedList& list : lists) {
    for (size_t rank = 0; rank < list.hits.size(); ++rank)
      sums[list.hits[rank].id] += list.weight * fusion.worth(list.hits, rank);
  }
  std::vector<Hit> hits;
  for (const auto& [id, sum] : sums) hits.push_back({id, float(sum)});
  sort_hits(hits);
  return hits;
}

}  // namespace varve
