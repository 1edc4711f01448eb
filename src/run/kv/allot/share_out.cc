#include "run/kv/allot/share_out.h"

#include <algorithm>

namespace varve {

std::vector<int32_t> share_out(std::span<const KvLane> lanes, std::span<const double> weights,
                               int32_t budget) {
  std::vector<int32_t> kept(lanes.size(), 1);
  std::vector<bool> full(lanes.size());
  int64_t left = int64_t(lanes.size()) * (budget - 1);
  while (left > 0) {  // a lane that gets all it has leaves the rest to the others
    double open = 0;
    for (size_t i = 0; i < lanes.size(); ++i) open += full[i] ? 0 : weights[i];
    if (open <= 0) break;
    bool filled = false;
    int64_t given = 0;
    for (size_t i = 0; i < lanes.size(); ++i) {
      const auto share = int64_t(double(left) * weights[i] / open), room = int64_t(lanes[i].size()) - kept[i];
      if (full[i] || share < room) continue;
      kept[i] += int32_t(std::max<int64_t>(0, room));
      given += std::max<int64_t>(0, room);
      full[i] = filled = true;
    }
    left -= given;
    if (filled) continue;
    for (size_t i = 0; i < lanes.size(); ++i)
      if (!full[i]) kept[i] += int32_t(double(left) * weights[i] / open);
    break;
  }
  return kept;
}

}  // namespace varve
