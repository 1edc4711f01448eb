// A factor of a packed product, before it is packed: `size` rows of the left one, or columns of the right,
// and `depth` numbers that are summed over. Floats in either orientation, or a weight in any number format,
// which is decoded a few rows at a time.
#pragma once

#include <algorithm>

#include "math/kernel/kernel.h"
#include "math/ops/tile.h"

namespace varve {

struct Factor {
  Pack how = Pack::left;
  int64_t size = 0, depth = 0;
  const float* from = nullptr;  // null: the weight's
  int64_t stride = 0;
  const Matrix* weight = nullptr;

  bool deep_rows() const { return how == Pack::right || how == Pack::left_turned; }
};

inline int64_t tiles(int64_t values, size_t of) {
  return (values + int64_t(of) - 1) / int64_t(of);
}

constexpr int64_t kDecoded = 512;  // columns of a weight at a time: whole blocks of every codec

// Which tiles: panels [panel, panel + panels) of 16, over depth [deep, deep + depths), and how far apart the
// panels lie in what is packed. `deep` is a multiple of kDecoded, unless the rows are deep; then the first
// panel's column is.
struct PanelRange {
  int64_t panel, panels, deep, depths, apart;
};

// Floats whose rows are deep, 32 rows at a time: neighbours in memory are read together.
inline void pack_deep(const Factor& f, const PanelRange& range, const float* from, int64_t stride,
                      uint16_t* out) {
  const int64_t sizes =
      std::min(f.size - range.panel * int64_t(kTileSize), range.panels * int64_t(kTileSize));
  for (int64_t deep = 0; deep < range.depths; deep += kTileDepth, out += kTileValues) {
    const auto some = size_t(std::min<int64_t>(kTileDepth, range.depths - deep));
    for (int64_t at = 0; at < sizes; at += kTileSize) {
      kernels().pack(f.how, from + deep * stride + at, size_t(stride), some,
                     size_t(std::min<int64_t>(kTileSize, sizes - at)),
                     out + at / int64_t(kTileSize) * range.apart);
    }
  }
}

// 16 rows of floats along their depth.
inline void pack_wide(const Factor& f, const float* from, int64_t stride, int64_t rows, int64_t depths,
                      uint16_t* out) {
  for (int64_t deep = 0; deep < depths; deep += kTileDepth, out += kTileValues) {
    kernels().pack(f.how, from + deep, size_t(stride), size_t(rows),
                   size_t(std::min<int64_t>(kTileDepth, depths - deep)), out);
  }
}

inline void pack_rows(const Factor& f, const PanelRange& range, uint16_t* out) {  // of floats
  const int64_t first = range.panel * int64_t(kTileSize);
  if (f.deep_rows()) return pack_deep(f, range, f.from + range.deep * f.stride + first, f.stride, out);
  for (int64_t i = 0; i < range.panels; ++i) {
    const int64_t row = first + i * int64_t(kTileSize);
    pack_wide(f, f.from + row * f.stride + range.deep, f.stride, std::min<int64_t>(kTileSize, f.size - row),
              range.depths, out + i * range.apart);
  }
}

// 16 rows of a weight, kDecoded columns at a time.
inline void pack_weight(const Factor& f, const PanelRange& range, uint16_t* out) {
  alignas(64) float rows[int64_t(kTileSize) * kDecoded];
  for (int64_t i = 0; i < range.panels; ++i) {
    const int64_t first = (range.panel + i) * int64_t(kTileSize);
    const int64_t count = std::min<int64_t>(kTileSize, f.size - first);
    for (int64_t at = 0; at < range.depths; at += kDecoded) {
      const int64_t some = std::min(kDecoded, range.depths - at);
      for (int64_t r = 0; r < count; ++r) {
        decode_part(*f.weight, first + r, range.deep + at, some, rows + r * kDecoded);
      }
      pack_wide(f, rows, kDecoded, count, some,
                out + i * range.apart + at / int64_t(kTileDepth) * int64_t(kTileValues));
    }
  }
}

// 32 rows of a weight, kDecoded columns at a time: 32 panels, one tile deep.
inline void pack_weight_deep(const Factor& f, const PanelRange& range, uint16_t* out) {
  alignas(64) float rows[int64_t(kTileDepth) * kDecoded];
  const int64_t first = range.panel * int64_t(kTileSize);
  const int64_t end = std::min(f.size, first + range.panels * int64_t(kTileSize));
  for (int64_t tile = 0; tile < range.depths; tile += kTileDepth, out += kTileValues) {
    const int64_t count = std::min<int64_t>(kTileDepth, range.depths - tile);
    for (int64_t at = first; at < end; at += kDecoded) {
      const int64_t some = std::min(kDecoded, end - at);
      for (int64_t r = 0; r < count; ++r) {
        decode_part(*f.weight, range.deep + tile + r, at, some, rows + r * kDecoded);
      }
      for (int64_t column = 0; column < some; column += kTileSize) {
        kernels().pack(f.how, rows + column, size_t(kDecoded), size_t(count),
                       size_t(std::min<int64_t>(kTileSize, some - column)),
                       out + (at - first + column) / int64_t(kTileSize) * range.apart);
      }
    }
  }
}

inline void pack_panels(const Factor& f, const PanelRange& range, uint16_t* out) {
  (f.from != nullptr ? pack_rows : f.deep_rows() ? pack_weight_deep : pack_weight)(f, range, out);
}

}  // namespace varve
