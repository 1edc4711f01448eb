// Packed products of training on the matrix unit: 32 x 32 of the result at a time.
#include "math/kernel/amx/tiles.h"

namespace varve {
namespace {

struct Block {
  const uint16_t *left, *right;
  size_t depth;
  float* out;
  size_t stride, rows, cols;  // of the result that there are
  bool add;
};

template <int down, int across>
inline void product(const Block& block) {
  const bool whole = block.rows == 16 * down && block.cols == 16 * across;
  alignas(64) float edge[32 * 32];
  float* at = whole ? block.out : edge;
  const long bytes = whole ? long(block.stride * 4) : 128;
  if (!whole && block.add) {
    for (size_t i = 0; i < 16 * down; ++i) {
      for (size_t j = 0; j < 16 * across; ++j) {
        edge[32 * i + j] = i < block.rows && j < block.cols ? block.out[i * block.stride + j] : 0.f;
      }
    }
  }
  if (block.add) {
    move<true, down, across>(at, bytes);
  } else {
    zero_results();
  }
  walk<down, across>(block.left, block.right, block.depth);
  move<false, down, across>(at, bytes);
  if (whole) return;
  for (size_t i = 0; i < block.rows; ++i) {
    for (size_t j = 0; j < block.cols; ++j) block.out[i * block.stride + j] = edge[32 * i + j];
  }
}

void multiply(const uint16_t* left, size_t rows, const uint16_t* right, size_t cols, size_t depth, float* out,
              size_t stride, bool add) {
  const Tiles tiles;
  const size_t panel = depth * kTileValues;
  for (size_t j = 0; j < cols; j += 32) {
    for (size_t i = 0; i < rows; i += 32) {
      const Block block{left + i / 16 * panel, right + j / 16 * panel, depth, out + i * stride + j, stride,
                        least(rows - i, 32),   least(cols - j, 32),    add};
      const bool two_down = block.rows > 16, two_across = block.cols > 16;
      if (two_down && two_across) {
        product<2, 2>(block);
      } else if (two_down) {
        product<2, 1>(block);
      } else if (two_across) {
        product<1, 2>(block);
      } else {
        product<1, 1>(block);
      }
    }
  }
}

}  // namespace

void override_amx_tiles(Kernels& table) {
  table.pack = pack_by<ByMachine>;
  table.multiply = multiply;
}

}  // namespace varve
