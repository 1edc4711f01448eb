// The inverse of a matrix of second moments, as a factor.
#pragma once

#include <span>

#include "core/budget/buffer.h"
#include "math/ops/ops.h"

namespace varve {

// U, upper, with U^T U = (gram + damp * mean of its diagonal)^-1. gram: symmetric, [n][n].
Result<Buffer> inverse_factor(std::span<const float> gram, size_t n, float damp, Ops& ops, Ledger& ledger);

}  // namespace varve
