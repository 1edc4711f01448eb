#include "serve/session/window.h"

namespace varve {

size_t window_start(std::span<const int32_t> costs, int32_t room) {
  size_t start = 0;
  int64_t sum = 0;
  for (size_t end = 0; end < costs.size(); ++end) {
    sum += costs[end];
    if (sum <= room) continue;
    while (start <= end && sum > room / 2) sum -= costs[start++];
  }
  return start;
}

}  // namespace varve
