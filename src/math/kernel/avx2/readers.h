// How blocks become panels, 256 values at a time: the readers of all formats. See generic/formats.cc for what
// the bytes mean. Internal linkage, as in lanes.h.
#pragma once

#include "math/kernel/avx2/lanes.h"
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
void store(uint8_t* to, __m256i v) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), v);
}
__m256i all(int value) {
  return _mm256_set1_epi8(char(value));
}
float half(const uint8_t* from) {
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(load16(from))));
}

void set_scales(WeightPanel& out, size_t at, __m256 scale, float offset) {  // 8 of the 16
  _mm256_store_ps(out.scale + at, scale);
  _mm256_store_ps(out.min + at, _mm256_mul_ps(scale, _mm256_set1_ps(offset)));
}
// 16 steps of one byte each, minus `zero`, times d.
void set_steps(WeightPanel& out, __m128i bytes, int zero, float d, float offset) {
  for (size_t i = 0; i < 2; ++i, bytes = _mm_srli_si128(bytes, 8)) {
    const __m256i steps = _mm256_sub_epi32(_mm256_cvtepu8_epi32(bytes), _mm256_set1_epi32(zero));
    set_scales(out, 8 * i, _mm256_mul_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(steps)), offset);
  }
}

// ---- blocks of 32: a reader gives the quants of one block

__m256i nibbles(const uint8_t* from) {
  const __m256i twice = _mm256_broadcastsi128_si256(load128(from));
  return _mm256_and_si256(_mm256_srlv_epi32(twice, _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4)), all(15));
}
alignas(16) const uint8_t kIq4Levels[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                            129, 141, 153, 166, 181, 197, 217, 241};  // kIq4Values + 128
__m256i levels(__m256i index) {
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load128(kIq4Levels)), index);
}
// 16 where the bit of value i is set in 32 bits.
__m256i add_fifth(__m256i q, uint32_t high) {
  const __m256i spread =
      _mm256_shuffle_epi8(_mm256_set1_epi32(int(high)),
                          _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
  const __m256i bit = _mm256_set1_epi64x(int64_t(0x8040201008040201));
  const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
  return _mm256_or_si256(q, _mm256_and_si256(set, all(16)));
}

struct ReadQ8_0 {
  static constexpr Format format = Format::q8_0;
  static __m256i quants(const uint8_t* block) {
    return _mm256_xor_si256(load256(block + offsetof(BlockQ8_0, q)), all(0x80));
  }
};
struct ReadQ4_0 {
  static constexpr Format format = Format::q4_0;
  static __m256i quants(const uint8_t* block) { return nibbles(block + offsetof(BlockQ4_0, q)); }
};
struct ReadQ4_1 {
  static constexpr Format format = Format::q4_1;
  static __m256i quants(const uint8_t* block) { return nibbles(block + offsetof(BlockQ4_1, q)); }
};
struct ReadQ5_0 {
  static constexpr Format format = Format::q5_0;
  static __m256i quants(const uint8_t* block) {
    return add_fifth(nibbles(block + offsetof(BlockQ5_0, q)), load32(block + offsetof(BlockQ5_0, high)));
  }
};
struct ReadQ5_1 {
  static constexpr Format format = Format::q5_1;
  static __m256i quants(const uint8_t* block) {
    return add_fifth(nibbles(block + offsetof(BlockQ5_1, q)), load32(block + offsetof(BlockQ5_1, high)));
  }
};
struct ReadIq4Nl {
  static constexpr Format format = Format::iq4_nl;
  static __m256i quants(const uint8_t* block) { return levels(nibbles(block + offsetof(BlockIq4Nl, q))); }
};

// f16 numbers of 8 blocks as floats, each for 32 values.
template <int apart>
void halves_of_8(const uint8_t* from, float* to) {
  const auto at = [&](int i) { return short(load16(from + i * apart)); };
  const __m256 eight =
      _mm256_cvtph_ps(_mm_setr_epi16(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)));
  _mm256_store_ps(to, _mm256_permutevar8x32_ps(eight, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)));
  _mm256_store_ps(to + 8, _mm256_permutevar8x32_ps(eight, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7)));
}
template <class Read>  // of 256 values
void scales_of_32s(const uint8_t* from, WeightPanel& out) {
  constexpr FormatShape shape = kShapes[size_t(Read::format)];
  halves_of_8<shape.bytes>(from, out.scale);
  if constexpr (shape.offset < 0) halves_of_8<shape.bytes>(from + 2, out.min);
  for (size_t i = 0; i < 16; i += 8) {
    const __m256 min = shape.offset < 0
                           ? _mm256_xor_ps(_mm256_load_ps(out.min + i), _mm256_set1_ps(-0.f))
                           : _mm256_mul_ps(_mm256_load_ps(out.scale + i), _mm256_set1_ps(shape.offset));
    _mm256_store_ps(out.min + i, min);
  }
}
template <class Read>
void panel_of_32s(const uint8_t* from, size_t values, WeightPanel& out) {
  constexpr FormatShape shape = kShapes[size_t(Read::format)];
  if (values == kPanel) {
    scales_of_32s<Read>(from, out);
    for (size_t i = 0; i < 8; ++i) store(out.q + 32 * i, Read::quants(from + i * shape.bytes));
    return;
  }
  for (size_t i = 0; i < 8; ++i, from += shape.bytes) {
    const bool there = i < values / 32;
    const float scale = there ? half(from) : 0;
    float min = scale * shape.offset;
    if (shape.offset < 0) min = there ? -half(from + 2) : 0;
    out.scale[2 * i] = out.scale[2 * i + 1] = scale;
    out.min[2 * i] = out.min[2 * i + 1] = min;
    store(out.q + 32 * i, there ? Read::quants(from) : _mm256_setzero_si256());
  }
}

// ---- blocks of 256

// Two bits a value: a half of 128 values is 32 bytes, value i in bits 2 (i / 32) of byte i % 32.
void two_bits(const uint8_t* from, uint8_t* q) {
  for (size_t part = 0; part < 2; ++part, q += 128) {
    const __m256i v = load256(from + 32 * part);
    store(q, _mm256_and_si256(v, all(3)));
    store(q + 32, _mm256_and_si256(_mm256_srli_epi16(v, 2), all(3)));
    store(q + 64, _mm256_and_si256(_mm256_srli_epi16(v, 4), all(3)));
    store(q + 96, _mm256_and_si256(_mm256_srli_epi16(v, 6), all(3)));
  }
}
// Adds `value` where the bit of value i is set: bit i / 32 of byte i % 32.
void add_high_bits(const uint8_t* from, int value, uint8_t* q) {
  const __m256i v = load256(from);
  for (int i = 0; i < 8; ++i, q += 32) {
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(v, all(1 << i)), all(1 << i));
    const __m256i old = _mm256_load_si256(reinterpret_cast<const __m256i*>(q));
    store(q, _mm256_or_si256(old, _mm256_and_si256(set, all(value))));
  }
}
// Nibbles of 128 bytes: 32 bytes give 32 values (low), then 32 (high).
void nibbles_by_32(const uint8_t* from, uint8_t* q) {
  for (size_t i = 0; i < 4; ++i, q += 64) {
    const __m256i v = load256(from + 32 * i);
    store(q, _mm256_and_si256(v, all(15)));
    store(q + 32, _mm256_and_si256(_mm256_srli_epi16(v, 4), all(15)));
  }
}
__m128i four_words(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return _mm_set_epi64x(int64_t(uint64_t(d) << 32 | c), int64_t(uint64_t(b) << 32 | a));
}
// 8 steps of one byte times d, each for 32 values.
void doubled(float* to, __m128i bytes, float d) {
  const __m256 scaled = _mm256_mul_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)));
  _mm256_store_ps(to, _mm256_permutevar8x32_ps(scaled, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)));
  _mm256_store_ps(to + 8, _mm256_permutevar8x32_ps(scaled, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7)));
}
[[gnu::always_inline]] inline void six_bit_scales(const uint8_t* packed, const uint8_t* d_and_m,
                                                  WeightPanel& out) {
  const uint32_t a = load32(packed), b = load32(packed + 4), c = load32(packed + 8);
  const __m128i bytes = four_words(a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 6 & 0x03030303) << 4,  // scales
                                   b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 6 & 0x03030303) << 4);
  doubled(out.scale, bytes, half(d_and_m));
  doubled(out.min, _mm_srli_si128(bytes, 8), half(d_and_m + 2));
}

struct ReadQ2K {
  static constexpr Format format = Format::q2_k;
  static void panel(const uint8_t* block, WeightPanel& out) {
    two_bits(block + offsetof(BlockQ2K, q), out.q);
    const float d = half(block + offsetof(BlockQ2K, d)), m = half(block + offsetof(BlockQ2K, m));
    const __m128i packed = load128(block + offsetof(BlockQ2K, scales)), mask = _mm_set1_epi8(15);
    set_steps(out, _mm_and_si128(packed, mask), 0, d, 0);
    __m128i mins = _mm_and_si128(_mm_srli_epi16(packed, 4), mask);
    for (size_t i = 0; i < 2; ++i, mins = _mm_srli_si128(mins, 8)) {
      _mm256_store_ps(out.min + 8 * i,
                      _mm256_mul_ps(_mm256_set1_ps(m), _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(mins))));
    }
  }
};
struct ReadQ3K {
  static constexpr Format format = Format::q3_k;
  static void panel(const uint8_t* block, WeightPanel& out) {
    two_bits(block + offsetof(BlockQ3K, q), out.q);
    add_high_bits(block + offsetof(BlockQ3K, high), 4, out.q);
    const uint8_t* scales = block + offsetof(BlockQ3K, scales);
    const uint32_t a = load32(scales), b = load32(scales + 4), c = load32(scales + 8);
    const uint32_t low = 0x0f0f0f0f, two = 0x03030303;
    const __m128i bytes =
        four_words((a & low) | (c & two) << 4, (b & low) | (c >> 2 & two) << 4,
                   (a >> 4 & low) | (c >> 4 & two) << 4, (b >> 4 & low) | (c >> 6 & two) << 4);
    set_steps(out, bytes, 32, half(block + offsetof(BlockQ3K, d)), 4);
  }
};
struct ReadQ4K {
  static constexpr Format format = Format::q4_k;
  static void panel(const uint8_t* block, WeightPanel& out) {
    nibbles_by_32(block + offsetof(BlockQ4K, q), out.q);
    six_bit_scales(block + offsetof(BlockQ4K, scales), block, out);
  }
};
struct ReadQ5K {
  static constexpr Format format = Format::q5_k;
  static void panel(const uint8_t* block, WeightPanel& out) {
    nibbles_by_32(block + offsetof(BlockQ5K, q), out.q);
    add_high_bits(block + offsetof(BlockQ5K, high), 16, out.q);
    six_bit_scales(block + offsetof(BlockQ5K, scales), block, out);
  }
};
struct ReadQ6K {
  static constexpr Format format = Format::q6_k;
  static void panel(const uint8_t* block, WeightPanel& out) {
    const __m256i nibble = all(15), top = all(0x30);
    for (size_t part = 0; part < 2; ++part) {
      const uint8_t* low = block + offsetof(BlockQ6K, low) + 64 * part;
      const __m256i a = load256(low), b = load256(low + 32);
      const __m256i h = load256(block + offsetof(BlockQ6K, high) + 32 * part);
      const __m256i low_parts[4] = {a, b, _mm256_srli_epi16(a, 4), _mm256_srli_epi16(b, 4)};
      const __m256i high_parts[4] = {_mm256_slli_epi16(h, 4), _mm256_slli_epi16(h, 2), h,
                                     _mm256_srli_epi16(h, 2)};
      for (size_t i = 0; i < 4; ++i) {
        store(out.q + 128 * part + 32 * i,
              _mm256_or_si256(_mm256_and_si256(low_parts[i], nibble), _mm256_and_si256(high_parts[i], top)));
      }
    }
    const __m128i steps = _mm_xor_si128(load128(block + offsetof(BlockQ6K, scales)), _mm_set1_epi8(-128));
    set_steps(out, steps, 128, half(block + offsetof(BlockQ6K, d)), 32);
  }
};
struct ReadIq4Xs {
  static constexpr Format format = Format::iq4_xs;
  static void panel(const uint8_t* block, WeightPanel& out) {
    for (size_t i = 0; i < 8; ++i) {
      store(out.q + 32 * i, levels(nibbles(block + offsetof(BlockIq4Xs, q) + 16 * i)));
    }
    const float d = half(block);
    const int low = int(load32(block + offsetof(BlockIq4Xs, scales_low)));
    const int high = load16(block + offsetof(BlockIq4Xs, scales_high));
    for (int i = 0; i < 2; ++i) {
      const __m256i index =
          _mm256_add_epi32(_mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3), _mm256_set1_epi32(4 * i));
      const __m256i four = _mm256_and_si256(
          _mm256_srlv_epi32(_mm256_set1_epi32(low), _mm256_slli_epi32(index, 2)), _mm256_set1_epi32(15));
      const __m256i two = _mm256_and_si256(
          _mm256_srlv_epi32(_mm256_set1_epi32(high), _mm256_slli_epi32(index, 1)), _mm256_set1_epi32(3));
      const __m256i six = _mm256_or_si256(four, _mm256_slli_epi32(two, 4));
      const __m256 steps = _mm256_cvtepi32_ps(_mm256_sub_epi32(six, _mm256_set1_epi32(32)));
      set_scales(out, size_t(8 * i), _mm256_mul_ps(_mm256_set1_ps(d), steps), 128);
    }
  }
};

// Three times a byte modulo 256 moves to the next digit; the digit is 0, 1 or 2 as the byte is below 86, 171
// or not.
__m256i at_least(__m256i v, int bound) {
  return _mm256_cmpeq_epi8(_mm256_max_epu8(v, all(bound)), v);
}
__m256i digit(__m256i v) {
  return _mm256_sub_epi8(_mm256_setzero_si256(), _mm256_add_epi8(at_least(v, 86), at_least(v, 171)));
}
__m256i next(__m256i v) {
  return _mm256_add_epi8(v, _mm256_add_epi8(v, v));
}
struct ReadTq1 {
  static constexpr Format format = Format::tq1_0;
  static void panel(const uint8_t* block, WeightPanel& out) {
    __m256i v = load256(block), w = _mm256_castsi128_si256(load128(block + 32));
    __m256i rest = _mm256_castsi128_si256(_mm_cvtsi32_si128(int(load32(block + offsetof(BlockTq1, rest)))));
    for (size_t i = 0; i < 5; ++i, v = next(v), w = next(w)) {
      store(out.q + 32 * i, digit(v));
      _mm_store_si128(reinterpret_cast<__m128i*>(out.q + 160 + 16 * i), _mm256_castsi256_si128(digit(w)));
    }
    for (size_t i = 0; i < 4; ++i, rest = next(rest)) {
      const int four = _mm_cvtsi128_si32(_mm256_castsi256_si128(digit(rest)));
      __builtin_memcpy(out.q + 240 + 4 * i, &four, 4);
    }
    const __m256 scale = _mm256_set1_ps(half(block + offsetof(BlockTq1, d)));
    for (size_t i = 0; i < 2; ++i) set_scales(out, 8 * i, scale, 1);
  }
};
struct ReadTq2 {
  static constexpr Format format = Format::tq2_0;
  static void panel(const uint8_t* block, WeightPanel& out) {
    two_bits(block, out.q);
    const __m256 scale = _mm256_set1_ps(half(block + offsetof(BlockTq2, d)));
    for (size_t i = 0; i < 2; ++i) set_scales(out, 8 * i, scale, 1);
  }
};

struct ReadExpanded {
  static void panel(const uint8_t* block, WeightPanel& out) {
    for (size_t i = 0; i < 256; i += 32) store(out.q + i, load256(block + i));
    twice_each(block + offsetof(BlockExpanded, scale), out.scale);
    twice_each(block + offsetof(BlockExpanded, min), out.min);
  }
  static void twice_each(const uint8_t* from, float* to) {
    const __m256 eight = _mm256_loadu_ps(reinterpret_cast<const float*>(from));
    _mm256_store_ps(to, _mm256_permutevar8x32_ps(eight, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)));
    _mm256_store_ps(to + 8, _mm256_permutevar8x32_ps(eight, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7)));
  }
};

// ---- both kinds: whole rows

template <class Read>
struct Of256 {
  static constexpr Format format = Read::format;
  static constexpr FormatShape shape = kShapes[size_t(format)];
  static void panel(const uint8_t* from, size_t, WeightPanel& out) { Read::panel(from, out); }
};
template <class Read>
struct Of32 {
  static constexpr Format format = Read::format;
  static constexpr FormatShape shape = kShapes[size_t(format)];
  static void panel(const uint8_t* from, size_t values, WeightPanel& out) {
    panel_of_32s<Read>(from, values, out);
  }
  // Of whole panels, by parts.
  static void scales(const uint8_t* from, WeightPanel& out) { scales_of_32s<Read>(from, out); }
  static __m256i quants(const uint8_t* from, size_t block) {
    return Read::quants(from + block * shape.bytes);
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
  static void panel(const uint8_t* from, size_t, WeightPanel& out) { ReadExpanded::panel(from, out); }
};

template <class Read>
constexpr size_t kPanelBytes = kPanel / Read::shape.values* Read::shape.bytes;

// ---- products of 8 bits, in twos

template <class Read>  // quants of 8 bits, of which products in twos would not fit: they are used less 128
constexpr bool kSigned = Read::shape.offset == 128 || Read::format == Format::count;
template <class Read>  // what is left to take away of such
constexpr bool kMins = Read::shape.offset != 128;

template <class Read>
__m256i products(__m256i w, __m256i x) {
  return kSigned<Read> ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w))
                       : _mm256_maddubs_epi16(w, x);
}

}  // namespace
}  // namespace varve
