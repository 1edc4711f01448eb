#include "memory/recall/rerank.h"

#include <algorithm>

namespace varve {

void sort_hits(std::vector<Hit>& hits) {
  std::sort(hits.begin(), hits.end(),
            [](const Hit& a, const Hit& b) { return a.score != b.score ? a.score > b.score : a.id < b.id; });
}

}  // namespace varve
