// Few directions that hold most: of what layers pass on, and what finding them by powers needs.
#pragma once

#include <vector>

#include "learn/compress/calibration.h"
#include "learn/compress/draft.h"

namespace varve {

inline float* floats(Buffer& buffer) {
  return reinterpret_cast<float*>(buffer.bytes().data());
}

// Makes vectors of n numbers orthonormal, one after another.
void orthonormal(std::vector<float>& vectors, size_t n);

// [count][width], orthonormal: what the rows between layers, each of size 1 and seen on the text, mostly lie
// in.
Result<Buffer> principal_directions(const Draft& draft, const Reading& reading, int32_t count);

}  // namespace varve
