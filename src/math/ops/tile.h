// Decoded pieces of a matrix, on the stack of whoever works on them.
#pragma once

#include <cstring>

#include "math/ops/access.h"

namespace varve {

// Decodes values [first, first + n) of a row; both are multiples of the codec's block.
inline void decode_part(const Matrix& w, int64_t row, int64_t first, int64_t n, float* out) {
  const int64_t at = w.codec->bytes_for(row * w.cols + first);
  w.codec->decode(w.bytes.subspan(size_t(at), size_t(w.codec->bytes_for(n))), {out, size_t(n)});
}

inline void check_matrix(const Matrix& w) {
  CHECK(!w.empty() && w.rows >= 0 && w.cols >= 0 && w.cols % int64_t(w.codec->block_values()) == 0,
        "a matrix row is whole blocks");
  CHECK(int64_t(w.bytes.size()) >= w.codec->bytes_for(int64_t(w.rows) * w.cols), "a matrix is too short");
}

}  // namespace varve
