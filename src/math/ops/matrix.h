// A weight is a Matrix, activations are Rows; there is no N-dimensional tensor. Both are handles: their bytes
// are touched only inside math/ (through access.h, which tools/check_layers.py refuses elsewhere), so that
// another device can stand behind them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/check.h"
#include "core/budget/buffer.h"
#include "math/codec/codec.h"

namespace varve {

// Encoded, read-only, borrowed. Row-major: a row is cols / block_values blocks, rows follow without a gap.
struct Matrix {
  const Codec* codec = nullptr;
  std::span<const std::byte> bytes;
  int32_t rows = 0, cols = 0;
  bool empty() const { return codec == nullptr; }
};

// f32 activations, borrowed from a Scratch: count rows of width values, stride apart.
class Rows {
 public:
  Rows() = default;
  int32_t count() const { return count_; }
  int32_t width() const { return width_; }
  Rows slice(int32_t first, int32_t count) const {
    CHECK(first >= 0 && count >= 0 && first + count <= count_, "rows outside of Rows");
    return Rows(data_ + int64_t(first) * stride_, count, width_, stride_);
  }
  Rows columns(int32_t first, int32_t width) const {
    CHECK(first >= 0 && width >= 0 && first + width <= width_, "columns outside of Rows");
    return Rows(data_ + first, count_, width, stride_);
  }

 private:
  friend struct RowsAccess;
  Rows(float* data, int32_t count, int32_t width, int32_t stride)
      : data_(data), count_(count), width_(width), stride_(stride) {}
  float* data_ = nullptr;
  int32_t count_ = 0, width_ = 0, stride_ = 0;
};

// An arena of activations with a size fixed at birth. take() beyond it is a bug: sizes are planned before.
class Scratch {
 public:
  static Result<Scratch> make(Ledger& ledger, int64_t bytes);
  static int64_t bytes_for(int64_t count, int64_t width) { return (count * width * 4 + 63) / 64 * 64; }
  Rows take(int32_t count, int32_t width);  // not zeroed
  int64_t mark() const { return used_; }
  void release(int64_t mark) { used_ = mark; }  // everything taken since is gone
  int64_t size() const { return buffer_.size(); }

 private:
  Buffer buffer_;
  int64_t used_ = 0;
};

}  // namespace varve
