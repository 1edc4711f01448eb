// The scales of four rows at once: what is awkward to take out of a block is taken out of four, in lanes of
// 128 bits, and read back a row at a time. The same numbers as Read::scales, but for formats with an offset
// `min` is the scale: their inputs' sums are multiplied with the offset. Internal linkage, as in lanes.h.
#pragma once

#include "math/kernel/avx512/turned.h"

namespace varve {
namespace {

inline constexpr size_t kHeads = 4;

template <class Read>
inline constexpr bool kCentred = Read::shape.offset > 0;

// 16 bytes of each row.
__m512i load_each(const uint8_t* from, size_t apart) {
  const __m512i one = _mm512_castsi128_si512(load128(from));
  const __m512i two = _mm512_mask_broadcast_i32x4(one, 0x00f0, load128(from + apart));
  const __m512i three = _mm512_mask_broadcast_i32x4(two, 0x0f00, load128(from + 2 * apart));
  return _mm512_mask_broadcast_i32x4(three, 0xf000, load128(from + 3 * apart));
}
// f16 numbers as floats: one of each row, or two that follow each other.
void load_halves(const uint8_t* from, size_t apart, float* to) {
  const uint64_t two = uint64_t(load16(from + apart)) << 16 | load16(from);
  const uint64_t more = uint64_t(load16(from + 3 * apart)) << 16 | load16(from + 2 * apart);
  _mm_store_ps(to, _mm_cvtph_ps(_mm_cvtsi64_si128(int64_t(more << 32 | two))));
}
void load_half_pairs(const uint8_t* from, size_t apart, float* to) {
  const uint64_t two = uint64_t(load32(from + apart)) << 32 | load32(from);
  const uint64_t more = uint64_t(load32(from + 3 * apart)) << 32 | load32(from + 2 * apart);
  _mm256_store_ps(to, _mm256_cvtph_ps(_mm_set_epi64x(int64_t(more), int64_t(two))));
}
// Loads are free here, and may repeat a number or widen it, but the shuffles that would take a register apart
// are not.
template <class Of>
void through_memory(Of& of) {
  __asm__ volatile("" : "+m"(of));
}
__m512 times(__m512 a, const float& factor) {
  return _mm512_mul_ps(a, _mm512_set1_ps(factor));
}
__m512 signed_floats(const uint8_t* from) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load128(from)));
}
__m512i lanes_of(int a, int b, int c, int d) {
  return _mm512_broadcast_i32x4(_mm_setr_epi32(a, b, c, d));
}

template <class Read>
struct Heads {
  Scales all[kHeads];
  Heads(const uint8_t* from, size_t apart) {
    for (size_t i = 0; i < kHeads; ++i) {
      all[i] = ScalesOf<Read>::get(from + i * apart);
      if constexpr (kCentred<Read>) all[i].min = all[i].scale;
    }
  }
  Scales of(size_t row) const { return all[row]; }
};

// Two numbers, 12 bytes of scales and mins of 6 bits: 16 bytes.
struct SixBitHeads {
  alignas(64) uint8_t scales[64], mins[64];
  alignas(32) float factors[2 * kHeads];
  SixBitHeads(const uint8_t* from, size_t apart) {
    const __m512i all = load_each(from, apart), above = _mm512_srli_epi16(all, 2);
    const __m512i top = _mm512_set1_epi8(0x30);
    constexpr int kNone = int(0x80808080), kOrAnd = 0xf8;  // a | (b & c)
    // Of each number two copies, as a lane is for 16 values; the first four, then the last, whose upper bits
    // lie with the first.
    const __m512i low_scales = lanes_of(0x05050404, 0x07070606, 0x0d0d0c0c, 0x0f0f0e0e);
    const __m512i high_scales = lanes_of(kNone, kNone, 0x05050404, 0x07070606);
    const __m512i low_mins = lanes_of(0x09090808, 0x0b0b0a0a, 0x0d0d0c0c, 0x0f0f0e0e);
    const __m512i high_mins = lanes_of(kNone, kNone, 0x09090808, 0x0b0b0a0a);
    const __m512i mask = lanes_of(0x3f3f3f3f, 0x3f3f3f3f, 0x0f0f0f0f, 0x0f0f0f0f);
    const __m512i down = lanes_of(0, 0, 4, 4);
    const __m512i mins_low = _mm512_srlv_epi32(_mm512_shuffle_epi8(all, low_mins), down);
    store(scales, _mm512_ternarylogic_epi64(_mm512_and_si512(_mm512_shuffle_epi8(all, low_scales), mask),
                                            _mm512_shuffle_epi8(above, high_scales), top, kOrAnd));
    store(mins, _mm512_ternarylogic_epi64(_mm512_and_si512(mins_low, mask),
                                          _mm512_shuffle_epi8(above, high_mins), top, kOrAnd));
    load_half_pairs(from, apart, factors);
    through_memory(*this);
  }
  Scales of(size_t row) const {
    return {times(bytes_to_floats(load128(scales + 16 * row)), factors[2 * row]),
            times(bytes_to_floats(load128(mins + 16 * row)), factors[2 * row + 1])};
  }
};
template <>
struct Heads<Of256<ReadQ4K>> : SixBitHeads {
  using SixBitHeads::SixBitHeads;
};
template <>
struct Heads<Of256<ReadQ5K>> : SixBitHeads {
  using SixBitHeads::SixBitHeads;
};

template <>
struct Heads<Of256<ReadQ2K>> {
  alignas(64) uint8_t scales[64], mins[64];
  alignas(32) float factors[2 * kHeads];
  Heads(const uint8_t* from, size_t apart) {
    const __m512i all = load_each(from + offsetof(BlockQ2K, scales), apart), mask = _mm512_set1_epi8(15);
    store(scales, _mm512_and_si512(all, mask));
    store(mins, _mm512_and_si512(_mm512_srli_epi16(all, 4), mask));
    load_half_pairs(from + offsetof(BlockQ2K, d), apart, factors);
    through_memory(*this);
  }
  Scales of(size_t row) const {
    return {times(bytes_to_floats(load128(scales + 16 * row)), factors[2 * row]),
            times(bytes_to_floats(load128(mins + 16 * row)), factors[2 * row + 1])};
  }
};

template <>
struct Heads<Of256<ReadQ6K>> {
  const uint8_t* scales;
  size_t apart;
  alignas(16) float factors[kHeads];
  Heads(const uint8_t* from, size_t rows_apart)
      : scales(from + offsetof(BlockQ6K, scales)), apart(rows_apart) {
    load_halves(from + offsetof(BlockQ6K, d), apart, factors);
    through_memory(factors);
  }
  Scales of(size_t row) const {
    const __m512 scale = times(signed_floats(scales + row * apart), factors[row]);
    return {scale, scale};
  }
};

template <>
struct Heads<Of256<ReadIq4Xs>> {
  alignas(64) uint8_t scales[64];
  alignas(16) float factors[kHeads];
  Heads(const uint8_t* from, size_t apart) {
    // d, high bits, low bits: 8 bytes a row. Nibbles and pairs of bits to bytes; of each number two copies.
    const auto bytes = [&](size_t row) {
      const uint8_t* block = from + row * apart;
      const uint64_t low = _pdep_u64(load32(block + offsetof(BlockIq4Xs, scales_low)), 0x0f0f0f0f0f0f0f0f);
      return int64_t(low | _pdep_u64(load16(block + offsetof(BlockIq4Xs, scales_high)), 0x3030303030303030));
    };
    const __m512i eights = _mm512_castsi256_si512(_mm256_setr_epi64x(bytes(0), bytes(1), bytes(2), bytes(3)));
    const __m512i apiece = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), eights);
    const __m512i twice_each = lanes_of(0x01010000, 0x03030202, 0x05050404, 0x07070606);
    store(scales, _mm512_sub_epi8(_mm512_shuffle_epi8(apiece, twice_each), _mm512_set1_epi8(32)));
    load_halves(from, apart, factors);
    through_memory(*this);
  }
  Scales of(size_t row) const {
    const __m512 scale = times(signed_floats(scales + 16 * row), factors[row]);
    return {scale, scale};
  }
};

template <>
struct Heads<Of256<ReadTq2>> {
  alignas(16) float factors[kHeads];
  Heads(const uint8_t* from, size_t apart) {
    load_halves(from + offsetof(BlockTq2, d), apart, factors);
    through_memory(factors);
  }
  Scales of(size_t row) const {
    const __m512 scale = _mm512_set1_ps(factors[row]);
    return {scale, scale};
  }
};

}  // namespace
}  // namespace varve
