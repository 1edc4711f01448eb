// Packed products of training. The oracle sums in double.
#include <algorithm>

#include "math/kernel/generic/generic.h"
#include "math/kernel/half.h"

namespace varve::generic {
namespace {

// Where a number of the source lies in its tile: rows of pairs that are neighbours in depth.
size_t place(size_t size, size_t depth, bool left) {
  return left ? size * kTileDepth + depth : depth / 2 * 32 + size * 2 + depth % 2;
}

void pack(Pack how, const float* from, size_t stride, size_t rows, size_t cols, uint16_t* tile) {
  const bool left = how == Pack::left || how == Pack::left_turned;
  const bool deep_rows = how == Pack::right || how == Pack::left_turned;
  std::fill_n(tile, kTileValues, uint16_t(0));
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < cols; ++j) {
      tile[deep_rows ? place(j, i, left) : place(i, j, left)] = f32_to_bf16(from[i * stride + j]);
    }
  }
}

void tile_product(const uint16_t* left, const uint16_t* right, size_t depth, double* sums) {
  for (size_t at = 0; at < depth * kTileDepth; ++at) {
    const size_t tile = at / kTileDepth * kTileValues, deep = at % kTileDepth;
    for (size_t i = 0; i < kTileSize; ++i) {
      const double a = double(bf16_to_f32(left[tile + place(i, deep, true)]));
      for (size_t j = 0; j < kTileSize; ++j) {
        sums[i * kTileSize + j] += a * double(bf16_to_f32(right[tile + place(j, deep, false)]));
      }
    }
  }
}

void multiply(const uint16_t* left, size_t rows, const uint16_t* right, size_t cols, size_t depth, float* out,
              size_t stride, bool add) {
  for (size_t i = 0; i < rows; i += kTileSize) {
    for (size_t j = 0; j < cols; j += kTileSize) {
      double sums[kTileSize * kTileSize] = {};
      tile_product(left + i / kTileSize * depth * kTileValues, right + j / kTileSize * depth * kTileValues,
                   depth, sums);
      for (size_t y = 0; y < std::min(kTileSize, rows - i); ++y) {
        float* to = out + (i + y) * stride + j;
        for (size_t x = 0; x < std::min(kTileSize, cols - j); ++x) {
          to[x] = float(sums[y * kTileSize + x] + (add ? double(to[x]) : 0));
        }
      }
    }
  }
}

}  // namespace

void add_tiles(Kernels& table) {
  table.pack = pack;
  table.multiply = multiply;
}

}  // namespace varve::generic
