#include "math/codec/fit.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "math/codec/kernel_codec.h"
#include "math/kernel/half.h"

namespace varve::codec {
namespace {

constexpr int kTries = 10;  // each way, in steps of a tenth of a level

float extreme(const float* x, size_t n) {  // the value of largest magnitude, with its sign
  float found = 0;
  for (size_t i = 0; i < n; ++i) found = std::abs(x[i]) > std::abs(found) ? x[i] : found;
  return found;
}

// Least squares of x ~ scale * level(x * inverse) over candidates. gain is what the fit takes off sum x^2.
template <class Level>
float best_scale(const float* x, size_t n, float extreme_value, float extreme_level, const Level& level) {
  if (!(std::abs(extreme_value) > 0)) return 0;
  float best = extreme_value / extreme_level;
  double best_gain = -1;
  for (int attempt = -kTries; attempt <= kTries; ++attempt) {
    const float inverse =
        extreme_level * (1 + 0.1f * float(attempt) / std::abs(extreme_level)) / extreme_value;
    double xq = 0, qq = 0;
    for (size_t i = 0; i < n; ++i) {
      const double q = level(x[i] * inverse);
      xq += double(x[i]) * q, qq += q * q;
    }
    if (qq > 0 && xq * xq / qq > best_gain) best_gain = xq * xq / qq, best = float(xq / qq);
  }
  return best;
}

struct Sums {  // of x and q for the line through them
  double q = 0, qq = 0, x = 0, xq = 0, xx = 0;
};

Line line_through(const Sums& sums, size_t n) {
  const double count = double(n), spread = count * sums.qq - sums.q * sums.q;
  double scale = spread > 0 ? (count * sums.xq - sums.q * sums.x) / spread : 0;
  double min = (scale * sums.q - sums.x) / count;
  if (min < 0) min = 0, scale = sums.qq > 0 ? sums.xq / sums.qq : 0;
  return {float(std::max(scale, 0.0)), float(min)};
}

double error_of(const Line& line, const Sums& sums, size_t n) {  // sum (scale q - min - x)^2
  const double s = double(line.scale), m = double(line.min);
  return s * s * sums.qq + double(n) * m * m + sums.xx - 2 * s * m * sums.q - 2 * s * sums.xq +
         2 * m * sums.x;
}

}  // namespace

float fit_scale(const float* x, size_t n, int low) {
  return best_scale(x, n, extreme(x, n), float(low),
                    [&](float value) { return double(rounded(value, low, -low - 1)); });
}

uint8_t nearest_in_codebook(float value) {
  const auto* above = std::lower_bound(std::begin(kIq4Values), std::end(kIq4Values), value);
  if (above == std::begin(kIq4Values)) return 0;
  if (above == std::end(kIq4Values)) return 15;
  const bool lower = value - float(above[-1]) < float(*above) - value;
  return uint8_t(above - kIq4Values - (lower ? 1 : 0));
}

float fit_codebook(const float* x, size_t n) {
  return best_scale(x, n, extreme(x, n), float(kIq4Values[0]),
                    [](float value) { return double(kIq4Values[nearest_in_codebook(value)]); });
}

uint8_t nearest_level(std::span<const float> levels, float value) {
  const auto above = std::lower_bound(levels.begin(), levels.end(), value);
  if (above == levels.begin()) return 0;
  if (above == levels.end()) return uint8_t(levels.size() - 1);
  const auto at = above - levels.begin();
  return uint8_t(value - levels[size_t(at) - 1] < *above - value ? at - 1 : at);
}

FittedLevels fit_levels(const float* x, size_t n, std::span<const float> levels) {
  const float most = extreme(x, n), reach = most > 0 ? levels.back() : levels.front();
  const auto level = [&](float value) { return double(levels[nearest_level(levels, value)]); };
  FittedLevels fitted;
  if (most * reach > 0) fitted.scale = std::max(best_scale(x, n, most, reach, level), 0.f);
  const float inverse = inverse_of(fitted.scale);
  for (size_t i = 0; i < n; ++i) {
    const double off = double(x[i]) - double(fitted.scale) * level(x[i] * inverse);
    fitted.error += off * off;
  }
  return fitted;
}

Line fit_line(const float* x, size_t n, int levels) {
  const auto [least, most] = std::minmax_element(x, x + n);
  const float low = std::min(*least, 0.f);
  if (!(*most > low)) return {0, -low};
  Line best;
  double best_error = INFINITY;
  for (int attempt = -kTries; attempt <= kTries; ++attempt) {
    const float inverse = (float(levels) + 0.1f * float(attempt)) / (*most - low);
    Sums sums;
    for (size_t i = 0; i < n; ++i) {
      const double q = rounded((x[i] - low) * inverse, 0, levels), value = double(x[i]);
      sums.q += q, sums.qq += q * q, sums.x += value, sums.xq += value * q, sums.xx += value * value;
    }
    const Line line = line_through(sums, n);
    const double error = error_of(line, sums, n);
    if (error < best_error) best_error = error, best = line;
  }
  return best;
}

KScales encode_k_scales(const float* x, int levels) {
  std::array<Line, 8> lines;
  Line largest;
  for (size_t i = 0; i < 8; ++i) {
    lines[i] = fit_line(x + 32 * i, 32, levels);
    largest = {std::max(largest.scale, lines[i].scale), std::max(largest.min, lines[i].min)};
  }
  KScales out;
  out.d = f32_to_f16(largest.scale / 63);
  out.m = f32_to_f16(largest.min / 63);
  const float d = f16_to_f32(out.d), m = f16_to_f32(out.m);
  for (size_t i = 0; i < 8; ++i) {
    const int scale = rounded(lines[i].scale * inverse_of(d), 0, 63);
    const int min = rounded(lines[i].min * inverse_of(m), 0, 63);
    const size_t at = i % 4;
    if (i < 4) {
      out.packed[at] = uint8_t(scale), out.packed[at + 4] = uint8_t(min);
    } else {
      out.packed[at + 8] = uint8_t((scale & 15) | (min & 15) << 4);
      out.packed[at] = uint8_t(out.packed[at] | scale >> 4 << 6);
      out.packed[at + 4] = uint8_t(out.packed[at + 4] | min >> 4 << 6);
    }
    const float inverse = inverse_of(d * float(scale));
    for (size_t j = 32 * i; j < 32 * i + 32; ++j) {
      out.q[j] = uint8_t(rounded((x[j] + m * float(min)) * inverse, 0, levels));
    }
  }
  return out;
}

}  // namespace varve::codec
