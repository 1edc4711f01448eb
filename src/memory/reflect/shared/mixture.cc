#include "memory/reflect/shared/mixture.h"

#include <algorithm>
#include <cmath>

namespace varve {
namespace {

constexpr double kLeastVariance = 1e-4;

double log_density(double x, double mean, double variance) {
  return -0.5 * ((x - mean) * (x - mean) / variance + std::log(variance));
}

}  // namespace

double Mixture::high(double x) const {
  if (high_share <= 0) return 0;
  if (x >= high_mean) return 1;  // the wider of the two must not win back what lies beyond both
  if (x <= low_mean) return 0;
  const double low = std::log(1 - high_share) + log_density(x, low_mean, low_variance);
  const double up = std::log(high_share) + log_density(x, high_mean, high_variance);
  return 1 / (1 + std::exp(low - up));
}

Mixture fit_mixture(const std::vector<double>& values, int steps) {
  if (values.size() < 4) return {};
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (*most - *least < 1e-6) return {};
  const double quarter = (*most - *least) / 4;
  Mixture m{*least, quarter * quarter, *most, quarter * quarter, 0.5};
  std::vector<double> share(values.size());
  for (int step = 0; step < steps; ++step) {
    double count = 0, high_sum = 0, low_sum = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      share[i] = m.high(values[i]);
      count += share[i];
      high_sum += share[i] * values[i];
      low_sum += (1 - share[i]) * values[i];
    }
    const double rest = double(values.size()) - count;
    if (count < 1e-3 || rest < 1e-3) break;
    m.high_mean = high_sum / count;
    m.low_mean = low_sum / rest;
    m.high_share = count / double(values.size());
    double high_spread = 0, low_spread = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      high_spread += share[i] * (values[i] - m.high_mean) * (values[i] - m.high_mean);
      low_spread += (1 - share[i]) * (values[i] - m.low_mean) * (values[i] - m.low_mean);
    }
    m.high_variance = std::max(kLeastVariance, high_spread / count);
    m.low_variance = std::max(kLeastVariance, low_spread / rest);
  }
  return m;
}

}  // namespace varve
