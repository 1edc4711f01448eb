// Packed products of training on the matrix unit: 32 x 32 of the result at a time, in four of its eight
// tiles, two more for each factor. A product asks for the tiles and gives them back, so that a thread that
// does none has no such state.
#include "math/kernel/avx512/pack.h"

namespace varve {
namespace {

struct alignas(64) Config {
  uint8_t palette, start;
  uint8_t unused[14];
  uint16_t bytes_a_row[16];
  uint8_t rows[16];
};

// The four tiles of the result, to or from a block of 32 x 32 floats whose rows are `bytes` apart.
template <bool load, int down, int across>
inline void move(float* at, long bytes) {
  float* below = at + 16 * (bytes / 4);
  if (load) {
    _tile_loadd(0, at, bytes);
    if (across > 1) _tile_loadd(1, at + 16, bytes);
    if (down > 1) _tile_loadd(2, below, bytes);
    if (down > 1 && across > 1) _tile_loadd(3, below + 16, bytes);
  } else {
    _tile_stored(0, at, bytes);
    if (across > 1) _tile_stored(1, at + 16, bytes);
    if (down > 1) _tile_stored(2, below, bytes);
    if (down > 1 && across > 1) _tile_stored(3, below + 16, bytes);
  }
}

template <int down, int across>
inline void walk(const uint16_t* left, const uint16_t* right, size_t depth) {
  const size_t panel = depth * kTileValues;
  for (size_t at = 0; at < panel; at += kTileValues) {
    _tile_loadd(4, left + at, 64);
    _tile_loadd(6, right + at, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (across > 1) {
      _tile_loadd(7, right + panel + at, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (down > 1) {
      _tile_loadd(5, left + panel + at, 64);
      _tile_dpbf16ps(2, 5, 6);
    }
    if (down > 1 && across > 1) _tile_dpbf16ps(3, 5, 7);
  }
}

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
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  walk<down, across>(block.left, block.right, block.depth);
  move<false, down, across>(at, bytes);
  if (whole) return;
  for (size_t i = 0; i < block.rows; ++i) {
    for (size_t j = 0; j < block.cols; ++j) block.out[i * block.stride + j] = edge[32 * i + j];
  }
}

// The machine's own rounding: as ByShifts, but that numbers below 2^-126 are 0; the products take them so
// anyway.
struct ByMachine {
  static __m512i row(__m512 first, __m512 second) { return (__m512i)_mm512_cvtne2ps_pbh(second, first); }
  static __m512i rows(__m512 low, __m512 high) {
    alignas(64) static constexpr uint16_t kBetween[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                          21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                          11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(kBetween), row(low, high));
  }
};

size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

void multiply(const uint16_t* left, size_t rows, const uint16_t* right, size_t cols, size_t depth, float* out,
              size_t stride, bool add) {
  Config config = {};
  config.palette = 1;
  for (int i = 0; i < 8; ++i) config.bytes_a_row[i] = 64, config.rows[i] = 16;
  _tile_loadconfig(&config);
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
  _tile_release();
}

}  // namespace

void override_amx_tiles(Kernels& table) {
  table.pack = pack_by<ByMachine>;
  table.multiply = multiply;
}

}  // namespace varve
