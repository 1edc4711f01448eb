// The nearest matrix whose singular values are one, roughly: five turns of Newton and Schulz's iteration with
// the coefficients of Jordan et al. (2024, Muon), which lead every singular value near one and none to it.
#pragma once

#include <cstdint>
#include <span>

#include "learn/optim/optimizer.h"

namespace varve::optim {

int64_t polar_work(ParamShape shape);  // floats
// In place, by products of bf16 factors.
void polar(ParamShape shape, std::span<float> matrix, std::span<float> work);

}  // namespace varve::optim
