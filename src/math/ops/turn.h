// Turning keys that lie in a cache, a few rows at a time, outside of a pass.
#pragma once

#include <span>

#include "math/ops/ops.h"

namespace varve {

// Turns row i of rows [n][dim], keys of one head, by `by[i]` positions as `spec` says; the attention_factor
// that is in them already stays as it is.
void turn_rows(const RopeSpec& spec, int32_t dim, std::span<const int32_t> by, std::span<float> rows);

}  // namespace varve
