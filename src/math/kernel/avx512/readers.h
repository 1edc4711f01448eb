// How blocks become panels, 256 values at a time: the readers of all formats. See generic/formats.cc for what
// the bytes mean. Internal linkage, as in lanes.h.
#pragma once

#include "math/kernel/avx512/lanes.h"
#include "math/kernel/side.h"

namespace varve {
namespace {

// Bytes: memory is 220 ns away and gives up to 18 GB/s a core.
constexpr size_t kAhead = 3072;

template <int near>  // 3: into the first-level cache, 2: into the second
void fetch(const uint8_t* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + at, 0, near);
}
[[maybe_unused]] void fetch_ahead(const uint8_t* from, size_t bytes) {
  fetch<3>(from + kAhead, bytes);
}

// Where the bytes that come after some others lie: rows of a stream, then those of its next call.
struct Ahead {
  size_t left, jump;  // bytes of the stream; from its end to where it goes on
  size_t operator()(size_t bytes) {
    const size_t far = left > kAhead ? kAhead : kAhead + jump;
    left -= bytes;
    return far;
  }
};

uint16_t load16(const uint8_t* from) {
  uint16_t value;
  __builtin_memcpy(&value, from, 2);
  return value;
}
uint32_t load32(const uint8_t* from) {
  uint32_t value;
  __builtin_memcpy(&value, from, 4);
  return value;
}
__m128i load128(const uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
__m256i load256(const uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
__m512i twice(__m256i v) {
  return _mm512_broadcast_i64x4(v);
}
__m512i halves(__m256i low, __m256i high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
__m512i store(uint8_t* to, __m512i v) {
  _mm512_store_si512(to, v);
  return v;
}
__m512 half_to_all(const uint8_t* from) {
  return _mm512_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(load16(from))));
}
__m512 bytes_to_floats(__m128i unsigned_bytes) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(unsigned_bytes));
}
struct Scales {  // of 16 groups
  __m512 scale, min;
};
Scales around(__m512 scale, float offset) {
  return {scale, _mm512_mul_ps(scale, _mm512_set1_ps(offset))};
}
[[maybe_unused]] void keep(const Scales& scales, WeightPanel& out) {
  _mm512_store_ps(out.scale, scales.scale);
  _mm512_store_ps(out.min, scales.min);
}

// ---- blocks of 32: a reader gives the quants of one block

__m512i doubled() {
  return _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
}

alignas(16) const uint8_t kIq4Levels[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                            129, 141, 153, 166, 181, 197, 217, 241};  // kIq4Values + 128

// Of two blocks: low nibbles of the first, its high ones, then those of the second.
__m512i nibbles(const uint8_t* one, const uint8_t* other) {
  const __m512i both =
      _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(load128(one)), 0xff00, load128(other));
  const __m512i down = _mm512_maskz_set1_epi16(0xff00ff00, 4);
  return _mm512_and_si512(_mm512_srlv_epi16(both, down), _mm512_set1_epi8(15));
}
__m512i add_fifth(__m512i q, const uint8_t* one, const uint8_t* other) {
  const __mmask64 high = uint64_t(load32(other)) << 32 | load32(one);
  return _mm512_mask_add_epi8(q, high, q, _mm512_set1_epi8(16));
}

struct ReadQ8_0 {
  static constexpr Format format = Format::q8_0;
  static __m512i quants(const uint8_t* one, const uint8_t* other) {
    constexpr size_t at = offsetof(BlockQ8_0, q);
    return _mm512_xor_si512(halves(load256(one + at), load256(other + at)), _mm512_set1_epi8(-128));
  }
};
struct ReadQ4_0 {
  static constexpr Format format = Format::q4_0;
  static __m512i quants(const uint8_t* one, const uint8_t* other) {
    return nibbles(one + offsetof(BlockQ4_0, q), other + offsetof(BlockQ4_0, q));
  }
};
struct ReadQ4_1 {
  static constexpr Format format = Format::q4_1;
  static __m512i quants(const uint8_t* one, const uint8_t* other) {
    return nibbles(one + offsetof(BlockQ4_1, q), other + offsetof(BlockQ4_1, q));
  }
};
struct ReadQ5_0 {
  static constexpr Format format = Format::q5_0;
  static __m512i quants(const uint8_t* one, const uint8_t* other) {
    constexpr size_t at = offsetof(BlockQ5_0, high);
    return add_fifth(nibbles(one + offsetof(BlockQ5_0, q), other + offsetof(BlockQ5_0, q)), one + at,
                     other + at);
  }
};
struct ReadQ5_1 {
  static constexpr Format format = Format::q5_1;
  static __m512i quants(const uint8_t* one, const uint8_t* other) {
    constexpr size_t at = offsetof(BlockQ5_1, high);
    return add_fifth(nibbles(one + offsetof(BlockQ5_1, q), other + offsetof(BlockQ5_1, q)), one + at,
                     other + at);
  }
};
struct ReadIq4Nl {
  static constexpr Format format = Format::iq4_nl;
  static __m512i quants(const uint8_t* one, const uint8_t* other) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load128(kIq4Levels)),
                               nibbles(one + offsetof(BlockIq4Nl, q), other + offsetof(BlockIq4Nl, q)));
  }
};

// The first half of each of 8 blocks, twice: f16 number `index` of their heads, as floats. Two loads cover
// the heads of blocks as short as those of 4 bits.
template <int step>
constexpr bool kShort = 3 * step / 2 + 1 < 32;
template <int step>
__m512 short_heads(const uint8_t* from, int index) {
  alignas(64) static constexpr uint16_t kAt[32] = {
      0,  0,  step / 2,      step / 2,      step,      step,      3 * step / 2,      3 * step / 2,
      32, 32, 32 + step / 2, 32 + step / 2, 32 + step, 32 + step, 32 + 3 * step / 2, 32 + 3 * step / 2};
  const __m512i at = _mm512_add_epi16(_mm512_load_si512(kAt), _mm512_set1_epi16(short(index)));
  const __m512i words =
      _mm512_permutex2var_epi16(_mm512_loadu_si512(from), at, _mm512_loadu_si512(from + 4 * step));
  return _mm512_cvtph_ps(_mm512_castsi512_si256(words));
}

template <Format format>
Scales scales_of_32s(const uint8_t* from, size_t blocks) {
  constexpr FormatShape shape = kShapes[size_t(format)];
  constexpr int step = shape.bytes;
  __m512 scale, least = _mm512_setzero_ps();
  if (kShort<step> && blocks == 8) {
    scale = short_heads<step>(from, 0);
    if constexpr (shape.offset < 0) least = short_heads<step>(from, 1);
  } else {
    const __m256i at = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(step));
    const __m256i heads =  // the first four bytes of each block: d, and m or something else
        _mm256_mmask_i32gather_epi32(_mm256_setzero_si256(), __mmask8((1u << blocks) - 1), at, from, 1);
    const auto floats = [](__m256i words) {
      const __m512 eight = _mm512_castps256_ps512(_mm256_cvtph_ps(_mm256_cvtepi32_epi16(words)));
      return _mm512_permutexvar_ps(doubled(), eight);
    };
    scale = floats(heads);
    if constexpr (shape.offset < 0) least = floats(_mm256_srli_epi32(heads, 16));
  }
  if constexpr (shape.offset >= 0) return around(scale, shape.offset);
  const auto there = __mmask16((1u << 2 * blocks) - 1);
  return {scale, _mm512_maskz_xor_ps(there, least, _mm512_set1_ps(-0.f))};
}

template <class Read>
void panel_of_32s(const uint8_t* from, size_t values, WeightPanel& out) {
  constexpr int step = kShapes[size_t(Read::format)].bytes;
  const size_t blocks = values / 32;
  keep(scales_of_32s<Read::format>(from, blocks), out);
  for (size_t i = 0; i < 8; i += 2, from += 2 * step) {  // stored as they will be loaded: 64 bytes at once
    __m512i q = _mm512_setzero_si512();
    if (i + 1 < blocks) {
      q = Read::quants(from, from + step);
    } else if (i < blocks) {
      q = _mm512_zextsi256_si512(_mm512_castsi512_si256(Read::quants(from, from)));
    }
    store(out.q + 32 * i, q);
  }
}

// ---- blocks of 256

// Two bits a value: a half of 128 values is 32 bytes, value i in bits 2 (i / 32) of byte i % 32.
void two_bits(const uint8_t* from, uint8_t* q) {
  const __m512i low = halves(_mm256_setzero_si256(), _mm256_set1_epi16(2));
  const __m512i high = halves(_mm256_set1_epi16(4), _mm256_set1_epi16(6));
  for (size_t half = 0; half < 2; ++half) {
    const __m512i v = twice(load256(from + 32 * half));
    store(q + 128 * half, _mm512_and_si512(_mm512_srlv_epi16(v, low), _mm512_set1_epi8(3)));
    store(q + 128 * half + 64, _mm512_and_si512(_mm512_srlv_epi16(v, high), _mm512_set1_epi8(3)));
  }
}
// Adds `value` where the bit of value i is set: bit i / 32 of byte i % 32.
void add_high_bits(const uint8_t* from, char value, uint8_t* q) {
  const __m512i v = twice(load256(from));
  __m512i bit = halves(_mm256_set1_epi8(1), _mm256_set1_epi8(2));
  for (size_t i = 0; i < 4; ++i) {
    const __m512i old = _mm512_load_si512(q + 64 * i);
    store(q + 64 * i, _mm512_mask_add_epi8(old, _mm512_test_epi8_mask(v, bit), old, _mm512_set1_epi8(value)));
    bit = _mm512_slli_epi16(bit, 2);
  }
}
// Nibbles of 128 bytes: 32 bytes give 32 values (low), then 32 (high).
void nibbles_by_32(const uint8_t* from, uint8_t* q) {
  const __m512i mask = _mm512_set1_epi8(15);
  for (size_t i = 0; i < 2; ++i) {
    const __m512i v = _mm512_loadu_si512(from + 64 * i);
    const __m512i low = _mm512_and_si512(v, mask), high = _mm512_and_si512(_mm512_srli_epi16(v, 4), mask);
    store(q + 128 * i, _mm512_shuffle_i64x2(low, high, 0x44));
    store(q + 128 * i + 64, _mm512_shuffle_i64x2(low, high, 0xee));
  }
}
__m128i four_words(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return _mm_set_epi64x(int64_t(uint64_t(d) << 32 | c), int64_t(uint64_t(b) << 32 | a));
}
Scales six_bit_scales(const uint8_t* packed, const uint8_t* d_and_m) {
  const uint32_t a = load32(packed), b = load32(packed + 4), c = load32(packed + 8);
  const __m128i bytes = four_words(a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 6 & 0x03030303) << 4,  // scales
                                   b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 6 & 0x03030303) << 4);
  const __m128i heads = _mm_cvtsi32_si128(int(load32(d_and_m)));
  const __m512 factor =
      _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
                            _mm512_castps128_ps512(_mm_cvtph_ps(heads)));
  const __m512 scaled = _mm512_mul_ps(factor, bytes_to_floats(bytes));
  const __m512i upper = _mm512_add_epi32(doubled(), _mm512_set1_epi32(8));
  return {_mm512_permutexvar_ps(doubled(), scaled), _mm512_permutexvar_ps(upper, scaled)};
}

struct ReadQ2K {
  static constexpr Format format = Format::q2_k;
  static Scales scales(const uint8_t* block) {
    const __m128i packed = load128(block + offsetof(BlockQ2K, scales)), mask = _mm_set1_epi8(15);
    return {_mm512_mul_ps(half_to_all(block + offsetof(BlockQ2K, d)),
                          bytes_to_floats(_mm_and_si128(packed, mask))),
            _mm512_mul_ps(half_to_all(block + offsetof(BlockQ2K, m)),
                          bytes_to_floats(_mm_and_si128(_mm_srli_epi16(packed, 4), mask)))};
  }
  static void quants(const uint8_t* block, uint8_t* q) { two_bits(block + offsetof(BlockQ2K, q), q); }
};
struct ReadQ3K {
  static constexpr Format format = Format::q3_k;
  static void quants(const uint8_t* block, uint8_t* q) {
    two_bits(block + offsetof(BlockQ3K, q), q);
    add_high_bits(block + offsetof(BlockQ3K, high), 4, q);
  }
  static Scales scales(const uint8_t* block) {
    const uint8_t* scales = block + offsetof(BlockQ3K, scales);
    const uint32_t a = load32(scales), b = load32(scales + 4), c = load32(scales + 8);
    const uint32_t low = 0x0f0f0f0f, two = 0x03030303;
    const __m128i bytes =
        four_words((a & low) | (c & two) << 4, (b & low) | (c >> 2 & two) << 4,
                   (a >> 4 & low) | (c >> 4 & two) << 4, (b >> 4 & low) | (c >> 6 & two) << 4);
    const __m512i steps = _mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(32));
    return around(_mm512_mul_ps(half_to_all(block + offsetof(BlockQ3K, d)), _mm512_cvtepi32_ps(steps)), 4);
  }
};
struct ReadQ4K {
  static constexpr Format format = Format::q4_k;
  static void quants(const uint8_t* block, uint8_t* q) { nibbles_by_32(block + offsetof(BlockQ4K, q), q); }
  static Scales scales(const uint8_t* block) {
    return six_bit_scales(block + offsetof(BlockQ4K, scales), block);
  }
};
struct ReadQ5K {
  static constexpr Format format = Format::q5_k;
  static void quants(const uint8_t* block, uint8_t* q) {
    nibbles_by_32(block + offsetof(BlockQ5K, q), q);
    add_high_bits(block + offsetof(BlockQ5K, high), 16, q);
  }
  static Scales scales(const uint8_t* block) {
    return six_bit_scales(block + offsetof(BlockQ5K, scales), block);
  }
};
struct ReadQ6K {
  static constexpr Format format = Format::q6_k;
  static void quants(const uint8_t* block, uint8_t* q) {
    const __m512i nibble = _mm512_set1_epi8(15), top = _mm512_set1_epi8(0x30);
    const __m512i left = halves(_mm256_set1_epi16(4), _mm256_set1_epi16(2));
    const __m512i right = halves(_mm256_setzero_si256(), _mm256_set1_epi16(2));
    for (size_t half = 0; half < 2; ++half) {
      const __m512i v = _mm512_loadu_si512(block + offsetof(BlockQ6K, low) + 64 * half);
      const __m512i h = twice(load256(block + offsetof(BlockQ6K, high) + 32 * half));
      constexpr int kOrAnd = 0xf8;  // a | (b & c)
      store(q + 128 * half,
            _mm512_ternarylogic_epi64(_mm512_and_si512(v, nibble), _mm512_sllv_epi16(h, left), top, kOrAnd));
      store(q + 128 * half + 64, _mm512_ternarylogic_epi64(_mm512_and_si512(_mm512_srli_epi16(v, 4), nibble),
                                                           _mm512_srlv_epi16(h, right), top, kOrAnd));
    }
  }
  static Scales scales(const uint8_t* block) {
    const __m512i steps = _mm512_cvtepi8_epi32(load128(block + offsetof(BlockQ6K, scales)));
    return around(_mm512_mul_ps(half_to_all(block + offsetof(BlockQ6K, d)), _mm512_cvtepi32_ps(steps)), 32);
  }
};
struct ReadIq4Xs {
  static constexpr Format format = Format::iq4_xs;
  static void quants(const uint8_t* block, uint8_t* q) {
    const __m512i levels = _mm512_broadcast_i32x4(load128(kIq4Levels)), mask = _mm512_set1_epi8(15);
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    for (size_t i = 0; i < 2; ++i) {  // 16 bytes give 16 values (low), then 16 (high)
      const __m512i v = _mm512_loadu_si512(block + offsetof(BlockIq4Xs, q) + 64 * i);
      const __m512i low = _mm512_shuffle_epi8(levels, _mm512_and_si512(v, mask));
      const __m512i high = _mm512_shuffle_epi8(levels, _mm512_and_si512(_mm512_srli_epi16(v, 4), mask));
      store(q + 128 * i, _mm512_permutex2var_epi64(low, first, high));
      store(q + 128 * i + 64, _mm512_permutex2var_epi64(low, second, high));
    }
  }
  static Scales scales(const uint8_t* block) {
    const uint64_t low = _pdep_u64(load32(block + offsetof(BlockIq4Xs, scales_low)), 0x0f0f0f0f0f0f0f0f);
    const uint64_t high = _pdep_u64(load16(block + offsetof(BlockIq4Xs, scales_high)), 0x3030303030303030);
    const __m256i eight = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(int64_t(low | high)));
    const __m256 centred = _mm256_cvtepi32_ps(_mm256_sub_epi32(eight, _mm256_set1_epi32(32)));
    const __m512 steps = _mm512_permutexvar_ps(doubled(), _mm512_castps256_ps512(centred));
    return around(_mm512_mul_ps(half_to_all(block), steps), 128);
  }
};

// Three times a byte modulo 256 moves to the next digit; it is 0, 1 or 2 as the byte is below 86, 171 or not.
__m512i digits(__m512i v) {
  const __m512i one = _mm512_set1_epi8(1);
  const __m512i first = _mm512_maskz_mov_epi8(_mm512_cmpge_epu8_mask(v, _mm512_set1_epi8(86)), one);
  return _mm512_mask_add_epi8(first, _mm512_cmpge_epu8_mask(v, _mm512_set1_epi8(char(171))), first, one);
}
struct ReadTq1 {
  static constexpr Format format = Format::tq1_0;
  static void quants(const uint8_t* block, uint8_t* q) {
    const __m128i rest = _mm_cvtsi32_si128(int(load32(block + offsetof(BlockTq1, rest))));
    __m512i v = halves(load256(block), _mm256_set_m128i(rest, load128(block + 32)));
    __m512i d[5];  // lanes 0 and 1: 32 bytes of 5 digits; lane 2: 16 of 5; in lane 3: 4 of 4
    for (size_t i = 0; i < 5; ++i, v = _mm512_add_epi8(v, _mm512_add_epi8(v, v))) d[i] = digits(v);
    const __m512i low = _mm512_shuffle_i64x2(d[0], d[1], 0xaa), high = _mm512_shuffle_i64x2(d[2], d[3], 0xaa);
    const __m512i last =
        _mm512_unpacklo_epi64(_mm512_unpacklo_epi32(d[0], d[1]), _mm512_unpacklo_epi32(d[2], d[3]));
    store(q, _mm512_shuffle_i64x2(d[0], d[1], 0x44));
    store(q + 64, _mm512_shuffle_i64x2(d[2], d[3], 0x44));
    store(q + 128, _mm512_shuffle_i64x2(d[4], low, 0x84));
    store(q + 192, _mm512_shuffle_i64x2(high, _mm512_mask_blend_epi64(0xc0, d[4], last), 0xe8));
  }
  static Scales scales(const uint8_t* block) { return around(half_to_all(block + offsetof(BlockTq1, d)), 1); }
};
struct ReadTq2 {
  static constexpr Format format = Format::tq2_0;
  static void quants(const uint8_t* block, uint8_t* q) { two_bits(block, q); }
  static Scales scales(const uint8_t* block) { return around(half_to_all(block + offsetof(BlockTq2, d)), 1); }
};

struct ReadExpanded {
  static void quants(const uint8_t* block, uint8_t* q) {
    for (size_t i = 0; i < 256; i += 64) store(q + i, _mm512_loadu_si512(block + i));
  }
  static Scales scales(const uint8_t* block) {
    const auto twice_each = [&](size_t at) {
      const __m256 eight = _mm256_loadu_ps(reinterpret_cast<const float*>(block + at));
      return _mm512_permutexvar_ps(doubled(), _mm512_castps256_ps512(eight));
    };
    return {twice_each(offsetof(BlockExpanded, scale)), twice_each(offsetof(BlockExpanded, min))};
  }
};

// ---- both kinds

template <class Read>
struct Of256 {
  static constexpr Format format = Read::format;
  static constexpr FormatShape shape = kShapes[size_t(format)];
  static void panel(const uint8_t* from, size_t, WeightPanel& out) {
    Read::quants(from, out.q);
    keep(Read::scales(from), out);
  }
};
template <class Read>
struct Of32 {
  static constexpr Format format = Read::format;
  static constexpr FormatShape shape = kShapes[size_t(format)];
  static void panel(const uint8_t* from, size_t values, WeightPanel& out) {
    panel_of_32s<Read>(from, values, out);
  }
};

template <class Visit>
void each_reader(const Visit& visit) {
  visit(Of32<ReadQ8_0>{}), visit(Of32<ReadQ4_0>{}), visit(Of32<ReadQ4_1>{});
  visit(Of32<ReadQ5_0>{}), visit(Of32<ReadQ5_1>{}), visit(Of32<ReadIq4Nl>{});
  visit(Of256<ReadQ2K>{}), visit(Of256<ReadQ3K>{}), visit(Of256<ReadQ4K>{});
  visit(Of256<ReadQ5K>{}), visit(Of256<ReadQ6K>{}), visit(Of256<ReadIq4Xs>{});
  visit(Of256<ReadTq1>{}), visit(Of256<ReadTq2>{});
}

struct OfExpanded {  // none of the formats that each_reader knows
  static constexpr Format format = Format::count;
  static constexpr FormatShape shape = {"expanded", 256, sizeof(BlockExpanded), -1, 0};
  static void panel(const uint8_t* from, size_t, WeightPanel& out) {
    ReadExpanded::quants(from, out.q);
    keep(ReadExpanded::scales(from), out);
  }
};

template <class Read>
constexpr size_t kPanelBytes = kPanel / Read::shape.values* Read::shape.bytes;

// Values 16 group .. 16 group + 15 as floats.
template <class Read>
__m512 expand(const WeightPanel& panel, size_t group) {
  constexpr int offset = Read::shape.offset;
  __m512i q = _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(panel.q + 16 * group)));
  if constexpr (offset >= 0) q = _mm512_sub_epi32(q, _mm512_set1_epi32(offset));
  const __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(q), _mm512_set1_ps(panel.scale[group]));
  return offset >= 0 ? value : _mm512_sub_ps(value, _mm512_set1_ps(panel.min[group]));
}

}  // namespace
}  // namespace varve
