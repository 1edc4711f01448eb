// Packing of tiles, by what rounds: Round::row gives 32 numbers in bf16 as they are, Round::rows two rows of
// 16 between each other. Internal linkage, as in lanes.h.
#pragma once

#include "math/kernel/avx512/lanes.h"

namespace varve {
namespace {

// 16 x 16 of 32 bits, turned: pairs, fours, then eights and halves change places.
[[maybe_unused]] inline void turn(__m512i* v) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; ++i) {
    v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

template <class Round, bool whole>
inline void pack_tile(Pack how, const float* from, size_t stride, size_t rows, size_t cols, uint16_t* tile) {
  auto load = [&](size_t row, size_t col) {
    const float* at = from + row * stride + col;
    if (whole) return _mm512_loadu_ps(at);
    return _mm512_maskz_loadu_ps(row < rows && col < cols ? up_to(cols - col) : __mmask16(0), at);
  };
  __m512i v[16];
  if (how == Pack::left || how == Pack::right_turned) {
    for (size_t i = 0; i < 16; ++i) v[i] = Round::row(load(i, 0), load(i, 16));
  } else {
    for (size_t i = 0; i < 16; ++i) v[i] = Round::rows(load(2 * i, 0), load(2 * i + 1, 0));
  }
  if (how == Pack::left_turned || how == Pack::right_turned) turn(v);
  for (size_t i = 0; i < 16; ++i) _mm512_storeu_si512(tile + 32 * i, v[i]);
}

template <class Round>
void pack_by(Pack how, const float* from, size_t stride, size_t rows, size_t cols, uint16_t* tile) {
  const bool deep = how == Pack::right || how == Pack::left_turned;
  const bool whole = rows == (deep ? kTileDepth : kTileSize) && cols == (deep ? kTileSize : kTileDepth);
  (whole ? pack_tile<Round, true> : pack_tile<Round, false>)(how, from, stride, rows, cols, tile);
}

}  // namespace
}  // namespace varve
