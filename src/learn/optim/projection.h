// What the rules that see a gradient from few directions share. The directions are rows of `width`, the
// shorter side of the matrix; seen from them, the gradient is rank rows of `length`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "learn/optim/optimizer.h"

namespace varve::optim {

struct Sides {
  explicit Sides(ParamShape shape) : rows(size_t(shape.rows)), cols(size_t(shape.cols)), wide(rows <= cols) {}
  size_t rows, cols;
  bool wide;  // the directions are of the rows
  size_t width() const { return wide ? rows : cols; }
  size_t length() const { return wide ? cols : rows; }
};

struct Projection {
  Sides sides;
  size_t rank;

  // low [rank][length] += directions times the gradient.
  void down(const float* g, const float* directions, float* low) const;
  // directions [rank][width] += low times the gradient, the other way.
  void across(const float* g, const float* low, float* directions) const;
  // w += factor * directions^T move.
  void up(const float* directions, const float* move, float factor, float* w) const;
  // The same for one row of the matrix.
  void up_row(const float* directions, const float* move, float factor, size_t row, float* out) const;
  void draw(RngKey key, float* directions) const;  // at random, orthonormal
  // Turns the directions towards the leading ones of the gradient, by power iteration; `low` is room.
  void turn(const float* g, float* directions, float* low) const;
};

// `count` rows made orthonormal, one after the other; a row that vanishes becomes zero.
void orthonormalize(float* rows, size_t count, size_t width);

}  // namespace varve::optim
