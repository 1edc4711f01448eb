// Mixture: two Gaussians on a line, fitted by expectation and maximisation: which of many likenesses are of
// the like, without a threshold that somebody chose.
#pragma once

#include <vector>

namespace varve {

struct Mixture {
  double low_mean = 0, low_variance = 1, high_mean = 0, high_variance = 1, high_share = 0;
  // The probability that x came from the one with the higher mean.
  double high(double x) const;
};

// Deterministic: begins at the extremes. With less than four values, or all alike, nobody is high.
Mixture fit_mixture(const std::vector<double>& values, int steps = 50);

}  // namespace varve
