// What the files of the matrix unit share: its eight tiles, four of a result of 32 x 32 and two of each
// factor, and its rounding. Internal linkage, as in lanes.h.
#pragma once

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

// `ahead`: right tiles come from the second-level cache, and each is fetched one step before its turn; behind
// the last ones lie those of the next walk.
template <int down, int across, bool ahead = false>
inline void walk(const uint16_t* left, const uint16_t* right, size_t depth) {
  const size_t panel = depth * kTileValues;
  for (size_t at = 0; at < panel; at += kTileValues) {
    const uint16_t* next = right + at + kTileValues + (at + kTileValues < panel ? 0 : panel);
    for (size_t i = 0; ahead && i < kTileValues; i += 32) {
      _mm_prefetch(reinterpret_cast<const char*>(next + i), _MM_HINT_T0);
      if (across > 1) _mm_prefetch(reinterpret_cast<const char*>(next + panel + i), _MM_HINT_T0);
    }
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

// For as long as it lives, so that a thread that multiplies nothing has no such state.
struct Tiles {
  Tiles() {
    Config config = {};
    config.palette = 1;
    for (int i = 0; i < 8; ++i) config.bytes_a_row[i] = 64, config.rows[i] = 16;
    __asm__ volatile("" : : "r"(&config) : "memory");  // GCC 12 thinks that only 8 bytes of it are read
    _tile_loadconfig(&config);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

[[maybe_unused]] inline void zero_results() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

[[maybe_unused]] inline size_t least(size_t a, size_t b) {
  return a < b ? a : b;
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

}  // namespace
}  // namespace varve
