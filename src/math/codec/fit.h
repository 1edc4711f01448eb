// Scales that make the squared error small: try some, refit each by least squares, keep the best.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace varve::codec {

// x ~ scale * q with q in [low, -low - 1]. The scale is negative where the largest value is positive, because
// low reaches one further.
float fit_scale(const float* x, size_t n, int low);

struct Line {
  float scale = 0, min = 0;  // neither is negative
};
// x ~ scale * q - min with q in [0, levels].
Line fit_line(const float* x, size_t n, int levels);

// x ~ scale * kIq4Values[index].
float fit_codebook(const float* x, size_t n);
uint8_t nearest_in_codebook(float value);

// x ~ scale * levels[index], levels ascending and scale not negative: the scale, and the squared error left.
struct FittedLevels {
  float scale = 0;
  double error = 0;
};
FittedLevels fit_levels(const float* x, size_t n, std::span<const float> levels);
uint8_t nearest_level(std::span<const float> levels, float value);  // NaN is the least

// What remains of a value after division by a scale that may be 0.
inline float inverse_of(float scale) {
  return scale != 0 ? 1 / scale : 0;
}

// 256 values of q4_k or q5_k: quants in [0, levels], and 8 scales and mins of 6 bits in 12 bytes.
struct KScales {
  uint16_t d = 0, m = 0;
  uint8_t packed[12] = {};
  uint8_t q[256] = {};
};
KScales encode_k_scales(const float* x, int levels);

}  // namespace varve::codec
