#include "learn/optim/projection.h"

#include <algorithm>
#include <vector>

#include "math/kernel/kernel.h"

namespace varve::optim {

void orthonormalize(float* rows, size_t count, size_t width) {
  for (size_t i = 0; i < count; ++i) {
    float* row = rows + i * width;
    for (int twice = 0; twice < 2; ++twice) {
      for (size_t j = 0; j < i; ++j) {
        const float along = -kernels().dot(row, rows + j * width, nullptr, width);
        kernels().mix(&along, 1, rows + j * width, 0, width, row);
      }
    }
    const double size = kernels().squares(row, 0, width);
    kernels().scale(row, size > 1e-30 ? float(1 / std::sqrt(size)) : 0, width);
  }
}

void Projection::down(const float* g, const float* directions, float* low) const {
  const size_t rows = sides.rows, cols = sides.cols;
  for (size_t k = 0; k < rank; ++k) {
    if (sides.wide) {
      kernels().mix(directions + k * rows, rows, g, cols, cols, low + k * cols);
      continue;
    }
    for (size_t i = 0; i < rows; ++i)
      low[k * rows + i] += kernels().dot(directions + k * cols, g + i * cols, nullptr, cols);
  }
}

void Projection::across(const float* g, const float* low, float* directions) const {
  const size_t rows = sides.rows, cols = sides.cols;
  for (size_t k = 0; k < rank; ++k) {
    if (!sides.wide) {
      kernels().mix(low + k * rows, rows, g, cols, cols, directions + k * cols);
      continue;
    }
    for (size_t i = 0; i < rows; ++i)
      directions[k * rows + i] += kernels().dot(low + k * cols, g + i * cols, nullptr, cols);
  }
}

void Projection::up_row(const float* directions, const float* move, float factor, size_t row,
                        float* out) const {
  std::vector<float> factors(rank);
  for (size_t k = 0; k < rank; ++k)
    factors[k] = factor * (sides.wide ? directions : move)[k * sides.rows + row];
  kernels().mix(factors.data(), rank, sides.wide ? move : directions, sides.cols, sides.cols, out);
}

void Projection::up(const float* directions, const float* move, float factor, float* w) const {
  for (size_t i = 0; i < sides.rows; ++i) up_row(directions, move, factor, i, w + i * sides.cols);
}

void Projection::draw(RngKey key, float* directions) const {
  const size_t n = rank * sides.width();
  for (size_t i = 0; i < n; ++i) directions[i] = float(random_normal(key, i));
  orthonormalize(directions, rank, sides.width());
}

void Projection::turn(const float* g, float* directions, float* low) const {
  for (int power = 0; power < 2; ++power) {
    std::fill_n(low, rank * sides.length(), 0.f);
    down(g, directions, low);
    std::fill_n(directions, rank * sides.width(), 0.f);
    across(g, low, directions);
    orthonormalize(directions, rank, sides.width());
  }
}

}  // namespace varve::optim
