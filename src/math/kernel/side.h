// A table beside the kernel table, for products that go another way: of formats that are expanded first, and
// of many rows of plain numbers.
//
// Formats without kernels of their own become blocks of one kind, a few rows at a time in a first-level
// cache, and every kind of product is made of those: another such format is one function here.
#pragma once

#include "math/kernel/kernel.h"

namespace varve {

// Value i is scale[i / 32] * q[i] - min[i / 32].
struct BlockExpanded {
  alignas(64) uint8_t q[256];
  float scale[8], min[8];
};

struct BlockS4 {
  uint8_t mask[8];
  uint16_t d;
  uint8_t q[16];
};  // 64 values, of which the mask's are d * (q - 8), in its order, the low nibble first; the others 0
struct BlockSlim2 {
  uint16_t d, m;
  uint16_t widths;
  uint8_t scales[8];
  uint8_t planes[16][4];
};  // of each 32 values: bits of a code, 1 to 3; low nibble scale, high min; a plane for each bit, lowest
    // first
struct BlockDgq4 {
  uint16_t d;
  uint8_t groups[8];
  uint8_t q[128];
};  // of each 32 values: low nibble scale, high zero; value = d * scale * (q - zero), nibbles as in q4_0
struct BlockQ1 {
  uint16_t d;
  uint8_t signs[16];
};  // 128 values, d where the bit is set, else -d
// Sets of levels: d, a byte for each 32 values (a scale of 6 bits, the set in the two above) and codes of 2,
// 3 or 4 bits without a gap, low bits first. Value = d * step * scale * (level - offset).
struct LevelTable {
  alignas(16) uint8_t levels[4][16];
  float step, offset;
};
// A sign, 4 bits of exponent and 3 of mantissa: an f16 without its highest exponents and lowest bits, times
// 2^(exponent - 1).
struct BlockRf8 {
  int8_t exponent;
  uint8_t q[128];
};

enum class Expanding : uint8_t { sets2, sets3, sets4, s4_0, slim2, dgq4, q1_0, count };
enum class Plain : uint8_t { f32, f16, bf16, rf8, count };

struct SideKernels {
  // `values` of a row, whole blocks of its format, at any address, into blocks of 256; what is beyond is 0.
  // `levels`: of sets; else not looked at. The same bytes on every ISA, but a NaN is any NaN.
  void (*expand[size_t(Expanding::count)])(const void* bytes, size_t values, const LevelTable* levels,
                                           BlockExpanded* out);
  // As those of Kernels for other formats; weight rows are whole blocks. No multiply_wide: null.
  void (*decode_expanded)(const BlockExpanded* blocks, size_t values, float* out);
  void (*stream_expanded)(const WeightRows& w, const InputPanel* x, size_t x_stride, size_t x_rows,
                          Lanes* sums);
  void (*multiply_expanded)(const WeightRows& w, const WideInputs* x, size_t x_rows, float* y, size_t stride,
                            bool add);

  // Many rows of plain numbers, as pack_wide and multiply_wide: both factors stay floats, so that 16 rows of
  // kPlainDepth values fill WideInputs. Null where the ISA has none.
  void (*pack_plain)(const float* x, size_t stride, size_t rows, size_t n, WideInputs* out, size_t apart);
  void (*multiply_plain[size_t(Plain::count)])(const WeightRows& w, const WideInputs* x, size_t x_rows,
                                               float* y, size_t stride, bool add);

  // As decode and stream_f32.
  void (*decode_rf8)(const void* bytes, size_t values, float* out);
  void (*stream_rf8)(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums);
};
inline constexpr size_t kPlainDepth = 128;

const SideKernels& side_kernels();                 // as good as kernels() may use
const SideKernels& side_kernels(const char* isa);  // as kernels_for(isa), which is there

}  // namespace varve
