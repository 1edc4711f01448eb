// The one allocator: number formats to weights, or sparsities, whatever costs bytes and loses something.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"

namespace varve {

struct Option {
  int64_t bytes = 0;
  double loss = 0;
};
// One option of each item, together at most `limit` bytes, with nearly the least sum of losses: the steps of
// each item's convex hull, by what a byte saves. invalid: less than the least.
Result<std::vector<size_t>> allocate(std::span<const std::vector<Option>> items, int64_t limit);
// The options on that hull, by growing bytes and falling loss: the others it never chooses.
std::vector<size_t> efficient(std::span<const Option> options);

}  // namespace varve
