// Vectors of length 1, so that a dot product is the cosine.
#pragma once

#include <cmath>
#include <span>

namespace varve {

// Zero, and whatever holds a value that is no number, becomes all zero: no signal.
inline void scale_to_length_one(std::span<float> vector) {
  double square = 0;
  for (float value : vector) square += double(value) * value;
  const bool good = square > 0 && std::isfinite(square);
  const double inverse = good ? 1 / std::sqrt(square) : 0;
  for (float& value : vector) value = good ? float(value * inverse) : 0;
}

}  // namespace varve
