// Packed products of training: packing with shifts and shuffles, products with two fused steps a pair (the
// machines with bf16 products have AMX, too).
#include "math/kernel/avx512/pack.h"

namespace varve {
namespace {

// 16 floats to bf16 in the low halves, to nearest, ties to even; a NaN stays one.
__m512i rounded(__m512 v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  return _mm512_srli_epi32(_mm512_mask_or_epi32(up, nan, bits, _mm512_set1_epi32(0x400000)), 16);
}

struct ByShifts {
  static __m512i rows(__m512 low, __m512 high) {
    return _mm512_or_si512(rounded(low), _mm512_slli_epi32(rounded(high), 16));
  }
  static __m512i row(__m512 first, __m512 second) {
    const __m256i low = _mm512_cvtepi32_epi16(rounded(first)), high = _mm512_cvtepi32_epi16(rounded(second));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }
};

void encode_bf16(const float* x, size_t n, uint16_t* out) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = up_to(n - i);
    _mm256_mask_storeu_epi16(out + i, mask,
                             _mm512_cvtepi32_epi16(rounded(_mm512_maskz_loadu_ps(mask, x + i))));
  }
}

template <int rows>
void row_products(const uint16_t* left, const uint16_t* right, size_t depth, __m512* sums) {
  const __m512i high = _mm512_set1_epi32(int(0xffff0000));
  for (size_t tile = 0; tile < depth; ++tile, left += kTileValues, right += kTileValues) {
    for (size_t pair = 0; pair < 16; ++pair) {
      const __m512i b = _mm512_loadu_si512(right + 32 * pair);
      const __m512 b0 = _mm512_castsi512_ps(_mm512_slli_epi32(b, 16));
      const __m512 b1 = _mm512_castsi512_ps(_mm512_and_si512(b, high));
      for (int i = 0; i < rows; ++i) {
        int both;
        __builtin_memcpy(&both, left + 32 * i + 2 * pair, 4);
        const __m512i a = _mm512_set1_epi32(both);
        sums[i] = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(a, 16)), b0, sums[i]);
        sums[i] = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(a, high)), b1, sums[i]);
      }
    }
  }
}

void multiply(const uint16_t* left, size_t rows, const uint16_t* right, size_t cols, size_t depth, float* out,
              size_t stride, bool add) {
  for (size_t j = 0; j < cols; j += 16) {
    const __mmask16 mask = up_to(cols - j);
    const uint16_t* b = right + j / 16 * depth * kTileValues;
    for (size_t i = 0; i < rows; i += 16) {
      const size_t some = rows - i < 16 ? rows - i : 16;
      __m512 sums[16];
      for (size_t y = 0; y < 16; ++y) {
        sums[y] =
            add && y < some ? _mm512_maskz_loadu_ps(mask, out + (i + y) * stride + j) : _mm512_setzero_ps();
      }
      row_products<16>(left + i / 16 * depth * kTileValues, b, depth, sums);
      for (size_t y = 0; y < some; ++y) _mm512_mask_storeu_ps(out + (i + y) * stride + j, mask, sums[y]);
    }
  }
}

}  // namespace

void override_avx512_tiles(Kernels& table) {
  table.encode_bf16 = encode_bf16;
  table.pack = pack_by<ByShifts>;
  table.multiply = multiply;
}

}  // namespace varve
