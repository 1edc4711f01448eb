// Tokens shared out by weight: what most allotters come down to.
#pragma once

#include "run/kv/policy.h"

namespace varve {

// At least one token a lane, none more than it holds where another can use it, at most lanes.size() * budget
// in all; lanes in proportion to their weights, as far as that goes.
std::vector<int32_t> share_out(std::span<const KvLane> lanes, std::span<const double> weights,
                               int32_t budget);

}  // namespace varve
