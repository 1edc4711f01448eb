// Products of many rows on the matrix unit, in bf16 with f32 sums. 32 weight rows are decoded a panel at a
// time into tiles that stay in the first-level cache, and meet all inputs, which stay in the second. Weights
// are the left factor, because their rows are tiles as they are; so a result comes out turned.
#include "math/kernel/amx/tiles.h"
#include "math/kernel/avx512/readers.h"

namespace varve {
namespace {

constexpr size_t kDepth = kPanel / kTileDepth;          // tiles of a panel
constexpr size_t kSixteen = kDepth * kTileValues;       // numbers of a panel of 16 rows
constexpr size_t kBlock = kWideWeights * kWideWeights;  // of sums: four tiles, each without a gap
static_assert(sizeof(WideInputs) == kSixteen * sizeof(uint16_t) && kWideWeights == 32);

void pack_wide(const float* x, size_t stride, size_t rows, size_t n, WideInputs* out, size_t apart) {
  for (size_t at = 0; at < n; at += kPanel, out += apart) {
    auto* tile = reinterpret_cast<uint16_t*>(out->bytes);
    for (size_t deep = at; deep < at + kPanel; deep += kTileDepth, tile += kTileValues) {
      pack_by<ByMachine>(Pack::right_turned, x + least(deep, n), stride, rows,
                         least(kTileDepth, n - least(deep, n)), tile);
    }
  }
}

// Where 32 values share a scale and are one of 16 or 32, each of those is computed once and then picked.
template <class Read>
constexpr size_t levels() {
  switch (Read::format) {
    case Format::q4_0:
    case Format::q4_1:
    case Format::q4_k: return 16;
    case Format::q5_0:
    case Format::q5_1:
    case Format::q5_k: return 32;
    default: return 0;
  }
}

// A panel of a weight row into its row of eight left tiles.
template <class Read>
struct Blocks {
  static constexpr size_t bytes = kPanelBytes<Read>;
  static void row(const uint8_t* from, size_t values, uint16_t* tile) {
    WeightPanel panel;
    Read::panel(from, values, panel);
    // Through memory: loads are free here, but the shuffles that would take a register apart are not.
    __asm__ volatile("" : : "r"(&panel) : "memory");
    for (size_t deep = 0; deep < kDepth; ++deep) {
      const uint8_t* codes = panel.q + kTileDepth * deep;
      __m512i words;
      if constexpr (levels<Read>() > 0) {
        words = _mm512_permutexvar_epi16(_mm512_cvtepu8_epi16(load256(codes)), all_levels(panel, 2 * deep));
      } else {
        const auto half = [&](size_t i) {
          return values_of(_mm512_cvtepu8_epi32(load128(codes + 16 * i)), panel, 2 * deep + i);
        };
        words = ByMachine::row(half(0), half(1));
      }
      _mm512_store_si512(tile + deep * kTileValues, words);
    }
  }

 private:
  static __m512 values_of(__m512i q, const WeightPanel& panel, size_t group) {
    constexpr int offset = Read::shape.offset;
    if constexpr (offset > 0) q = _mm512_sub_epi32(q, _mm512_set1_epi32(offset));
    const __m512 scale = _mm512_set1_ps(panel.scale[group]), value = _mm512_cvtepi32_ps(q);
    return offset >= 0 ? _mm512_mul_ps(value, scale)
                       : _mm512_fmsub_ps(value, scale, _mm512_set1_ps(panel.min[group]));
  }
  static __m512i all_levels(const WeightPanel& panel, size_t group) {
    const __m512i codes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512 low = values_of(codes, panel, group);
    if constexpr (levels<Read>() == 16) return _mm512_zextsi256_si512((__m256i)_mm512_cvtneps_pbh(low));
    return ByMachine::row(low, values_of(_mm512_add_epi32(codes, _mm512_set1_epi32(16)), panel, group));
  }
};
struct Bf16 {
  static constexpr size_t bytes = 2 * kPanel;
  static void row(const uint8_t* from, size_t values, uint16_t* tile) {
    for (size_t deep = 0; deep < kDepth; ++deep) {
      const size_t at = deep * kTileDepth, left = values > at ? values - at : 0;
      const __mmask32 mask = left >= 32 ? ~__mmask32(0) : (__mmask32(1) << left) - 1;
      _mm512_store_si512(tile + deep * kTileValues, _mm512_maskz_loadu_epi16(mask, from + 2 * at));
    }
  }
};

template <class Source>
void fill_left(const WeightRows& w, size_t at, uint16_t* left) {
  const size_t values = least(kPanel, w.n - at);
  const auto* from = static_cast<const uint8_t*>(w.bytes) + at / kPanel * Source::bytes;
  for (size_t row = 0; row < w.rows; ++row, from += w.row_bytes) {
    Source::row(from, values, left + row / kTileSize * kSixteen + row % kTileSize * kTileDepth);
  }
}

template <int down, int across>
void add_block(const uint16_t* left, const uint16_t* right, bool first, float* sums) {
  constexpr size_t kTile = kTileSize * kTileSize;
  if (first) {
    zero_results();
  } else {
    _tile_loadd(0, sums, 64);
    if (across > 1) _tile_loadd(1, sums + kTile, 64);
    if (down > 1) _tile_loadd(2, sums + 2 * kTile, 64);
    if (down > 1 && across > 1) _tile_loadd(3, sums + 3 * kTile, 64);
  }
  walk<down, across, true>(left, right, kDepth);
  _tile_stored(0, sums, 64);
  if (across > 1) _tile_stored(1, sums + kTile, 64);
  if (down > 1) _tile_stored(2, sums + 2 * kTile, 64);
  if (down > 1 && across > 1) _tile_stored(3, sums + 3 * kTile, 64);
}

// 16 weight rows by 16 inputs, turned into rows of y. It is long until those are read: whole lines go past
// the caches, which hold the inputs.
void turn_out(const float* tile, size_t rows, size_t inputs, float* y, size_t stride, bool add) {
  __m512i v[16];
  for (size_t i = 0; i < 16; ++i) v[i] = _mm512_load_si512(tile + 16 * i);
  turn(v);
  const __mmask16 mask = up_to(rows);
  const bool lines = rows == 16 && !add && (reinterpret_cast<uintptr_t>(y) | 4 * stride) % 64 == 0;
  for (size_t i = 0; i < inputs; ++i, y += stride) {
    __m512 sum = _mm512_castsi512_ps(v[i]);
    if (lines) {
      _mm512_stream_ps(y, sum);
    } else {
      if (add) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, y), sum);
      _mm512_mask_storeu_ps(y, mask, sum);
    }
  }
}

// Weight bytes that are needed after these: the next panel of 32 rows, or the first one of the 32 behind
// them. Fetched a few rows at a time while tiles are multiplied, which asks nothing of the memory.
struct Next {
  const uint8_t* from;
  size_t row_bytes, rows, bytes, at_once;
  void fetch_some() {
    for (size_t i = least(at_once, rows); i > 0; --i, --rows, from += row_bytes) fetch<2>(from, bytes);
  }
};

template <int down>
void add_panel(const uint16_t* left, const WideInputs* x, size_t x_rows, bool first, float* sums, Next next) {
  for (size_t i = 0; i < x_rows; i += 32, x += 2, sums += kBlock) {
    next.fetch_some();
    const auto* right = reinterpret_cast<const uint16_t*>(x->bytes);
    if (x_rows - i > 16) {
      add_block<down, 2>(left, right, first, sums);
    } else {
      add_block<down, 1>(left, right, first, sums);
    }
  }
}

template <class Source>
void multiply_wide(const WeightRows& w, const WideInputs* x, size_t x_rows, float* y, size_t stride,
                   bool add) {
  alignas(64) uint16_t left[2 * kSixteen];
  alignas(64) float sums[kWideWeights * kWideRows];
  const Tiles tiles;
  const auto* bytes = static_cast<const uint8_t*>(w.bytes);
  const size_t pairs = (x_rows + 31) / 32;
  if (w.rows < kWideWeights) __builtin_memset(left, 0, sizeof(left));
  for (size_t at = 0; at < w.n; at += kPanel, x += (x_rows + 15) / 16) {
    fill_left<Source>(w, at, left);
    const uint8_t* then =
        at + kPanel < w.n ? bytes + (at / kPanel + 1) * Source::bytes : bytes + w.rows * w.row_bytes;
    const Next next{then, w.row_bytes, w.rows, Source::bytes, (w.rows + pairs - 1) / pairs};
    (w.rows > 16 ? add_panel<2> : add_panel<1>)(left, x, x_rows, at == 0, sums, next);
  }
  for (size_t i = 0; i < x_rows; i += 16) {
    for (size_t row = 0; row < w.rows; row += 16) {
      turn_out(sums + i / 32 * kBlock + (row / 16 * 2 + i % 32 / 16) * 256, least(16, w.rows - row),
               least(16, x_rows - i), y + i * stride + row, stride, add);
    }
  }
  _mm_sfence();  // what went past the caches is there for other threads, too
}

template <class Read>
void add(Kernels& table) {
  table.multiply_wide[size_t(Read::format)] = multiply_wide<Blocks<Read>>;
}

}  // namespace

void expanded_wide_amx(SideKernels& table) {
  table.multiply_expanded = multiply_wide<Blocks<OfExpanded>>;
}
void override_amx_wide(Kernels& table) {
  table.pack_wide = pack_wide;
  table.multiply_wide[size_t(Format::bf16)] = multiply_wide<Bf16>;
  each_reader([&](auto read) { add<decltype(read)>(table); });
}

}  // namespace varve
