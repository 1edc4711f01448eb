// Moments in 8 bits, in blocks of 256: the first linear, signed; the second by its logarithm, because in one
// block it spans many orders of magnitude, and one that became 0 would make the step explode. A second moment
// more than 2^20 below its block's largest counts as that: the step is too short, never too long.
#pragma once

#include <cstddef>

#include "learn/optim/moments.h"

namespace varve::optim {

inline constexpr int64_t kBlock8 = 256;
int64_t adam8_bytes(int64_t values);
// One step of Adam on values whose state is so encoded.
void adam8_step(const AdamStep& step, std::span<const float> gradient, std::span<float> param,
                std::span<std::byte> state);

}  // namespace varve::optim
