// Bits that masks turn into bytes (side.h; generic/side.cc says what the bytes mean).
#include "math/kernel/avx512/readers.h"

namespace varve {
namespace {

constexpr size_t kGroups = 8;

__m256 floats(__m128i eight, int mask) {
  return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_cvtepu8_epi32(eight), _mm256_set1_epi32(mask)));
}

void slim2(const uint8_t* from, BlockExpanded& out) {
  const __m128i scales =
      _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + offsetof(BlockSlim2, scales)));
  const __m256 ends = _mm256_castps128_ps256(_mm_cvtph_ps(_mm_cvtsi32_si128(int(load32(from)))));
  const __m256 d = _mm256_permutevar8x32_ps(ends, _mm256_setzero_si256());
  const __m256 m = _mm256_permutevar8x32_ps(ends, _mm256_set1_epi32(1));
  _mm256_store_ps(out.scale, _mm256_mul_ps(d, floats(scales, 15)));
  _mm256_store_ps(out.min, _mm256_mul_ps(m, floats(_mm_srli_epi16(scales, 4), 15)));
  // A group looks at three planes, also where fewer are its own.
  alignas(64) uint8_t planes[4 * (3 * kGroups + 3)] = {};
  __builtin_memcpy(planes, from + offsetof(BlockSlim2, planes), sizeof(BlockSlim2::planes));
  // Where a group's first plane is, the sum of the widths before it: no group waits for another.
  constexpr uint64_t kBytes = 0x0101010101010101;
  uint64_t widths = _pdep_u64(load16(from + offsetof(BlockSlim2, widths)), 3 * kBytes);
  uint64_t firsts = widths * kBytes - widths;
  for (size_t i = 0; i < kGroups; ++i, widths >>= 8, firsts >>= 8) {
    const uint8_t* plane = planes + 4 * (firsts & 255);
    const uint64_t width = widths & 255;
    const auto bit = [&](uint64_t at) -> __mmask32 { return width > at ? load32(plane + 4 * at) : 0; };
    __m256i q = _mm256_maskz_set1_epi8(bit(0), 1);
    q = _mm256_mask_add_epi8(q, bit(1), q, _mm256_set1_epi8(2));
    q = _mm256_mask_add_epi8(q, bit(2), q, _mm256_set1_epi8(4));
    _mm256_store_si256(reinterpret_cast<__m256i*>(out.q + 32 * i), q);
  }
}

void expand_slim2(const void* bytes, size_t values, const LevelTable*, BlockExpanded* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (size_t at = 0; at < values; at += kPanel, from += sizeof(BlockSlim2), ++out) {
    fetch_ahead(from, sizeof(BlockSlim2));
    slim2(from, *out);
  }
}

void expand_q1_0(const void* bytes, size_t values, const LevelTable*, BlockExpanded* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  fetch_ahead(from, values / 128 * sizeof(BlockQ1));
  for (size_t at = 0; at < values; at += 128, from += sizeof(BlockQ1)) {
    BlockExpanded& to = out[at / kPanel];
    const size_t half = at % kPanel;
    if (half == 0 && values - at < kPanel) __builtin_memset(&to, 0, sizeof(to));
    const __m128 min = _mm_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(load16(from))));
    _mm_store_ps(to.min + half / 32, min);
    _mm_store_ps(to.scale + half / 32, _mm_add_ps(min, min));
    for (size_t i = 0; i < 128; i += 64) {
      __mmask64 signs;
      __builtin_memcpy(&signs, from + offsetof(BlockQ1, signs) + i / 8, 8);
      _mm512_store_si512(to.q + half + i, _mm512_maskz_set1_epi8(signs, 1));
    }
  }
}

}  // namespace

void expanding_avx512(SideKernels& table) {
  table.expand[size_t(Expanding::slim2)] = expand_slim2;
  table.expand[size_t(Expanding::q1_0)] = expand_q1_0;
}

}  // namespace varve
