// The one way to the floats behind Rows. For math/ only.
#pragma once

#include "math/ops/matrix.h"

namespace varve {

struct RowsAccess {
  static float* row(const Rows& rows, int32_t index) { return rows.data_ + int64_t(index) * rows.stride_; }
  static int32_t stride(const Rows& rows) { return rows.stride_; }
  static Rows make(float* data, int32_t count, int32_t width, int32_t stride) {
    return {data, count, width, stride};
  }
};

}  // namespace varve
