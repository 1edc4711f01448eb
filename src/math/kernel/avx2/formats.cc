// Blocks into panels and floats. See generic/formats.cc for what the bytes mean.
#include "math/kernel/avx2/lanes.h"

namespace varve {
namespace {

// Bytes: memory is 220 ns away and gives up to 18 GB/s a core.
constexpr size_t kAhead = 3072;

template <int near>  // 3: into the first-level cache, 2: into the second
void fetch(const uint8_t* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + at, 0, near);
}
void fetch_ahead(const uint8_t* from, size_t bytes) {
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
  const __m128i v = load128(from);
  return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(v, 4), v), all(15));
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

template <class Read>
void panel_of_32s(const uint8_t* from, size_t values, WeightPanel& out) {
  constexpr FormatShape shape = kShapes[size_t(Read::format)];
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
void six_bit_scales(const uint8_t* packed, const uint8_t* d_and_m, WeightPanel& out) {
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

// ---- both kinds: whole rows

template <class Read>
struct Of256 {
  static constexpr Format format = Read::format;
  static void panel(const uint8_t* from, size_t, WeightPanel& out) { Read::panel(from, out); }
};
template <class Read>
struct Of32 {
  static constexpr Format format = Read::format;
  static void panel(const uint8_t* from, size_t values, WeightPanel& out) {
    panel_of_32s<Read>(from, values, out);
  }
};

template <class Read>
constexpr size_t kPanelBytes =
    kPanel / kShapes[size_t(Read::format)].values* kShapes[size_t(Read::format)].bytes;

template <class Read>
void unpack(const void* bytes, size_t values, WeightPanel* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (size_t at = 0; at < values; at += kPanel, from += kPanelBytes<Read>, ++out) {
    fetch_ahead(from, kPanelBytes<Read>);
    Read::panel(from, values - at < kPanel ? values - at : kPanel, *out);
  }
}

// Values 8 part .. 8 part + 7 as floats.
template <Format format>
__m256 expand(const WeightPanel& panel, size_t part) {
  constexpr int offset = kShapes[size_t(format)].offset;
  __m256i q = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(panel.q + 8 * part)));
  if constexpr (offset >= 0) q = _mm256_sub_epi32(q, _mm256_set1_epi32(offset));
  const __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(q), _mm256_set1_ps(panel.scale[part / 2]));
  return offset >= 0 ? value : _mm256_sub_ps(value, _mm256_set1_ps(panel.min[part / 2]));
}

template <class Read>
void decode(const void* bytes, size_t values, float* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (size_t at = 0; at < values; at += kPanel, from += kPanelBytes<Read>) {
    const size_t n = values - at < kPanel ? values - at : kPanel;
    WeightPanel panel;
    fetch_ahead(from, kPanelBytes<Read>);
    Read::panel(from, n, panel);
    for (size_t i = 0; i < n / 8; ++i) _mm256_storeu_ps(out + at + 8 * i, expand<Read::format>(panel, i));
  }
}

template <class Read>
void stream_panels(const void* w, size_t w_bytes, size_t w_rows, const InputPanel* x, size_t n, Lanes* sums) {
  for (size_t i = 0; i < w_rows; ++i) {
    const auto* from = static_cast<const uint8_t*>(w) + i * w_bytes;
    __m256 sum = get(sums[i]);
    for (size_t at = 0; at < n; at += kPanel, from += kPanelBytes<Read>) {
      WeightPanel panel;
      fetch_ahead(from, kPanelBytes<Read>);
      Read::panel(from, n - at < kPanel ? n - at : kPanel, panel);
      sum = _mm256_add_ps(sum, panel_product(panel, x[at / kPanel]));
    }
    set(sums[i], sum);
  }
}

// W rows at once: a sum is one chain of additions here, and W of them hide its latency. Each fetches what the
// next W rows will need.
template <class Read, size_t W>
void stream_rows(const uint8_t* w, size_t w_bytes, const float* x, size_t n, Lanes* sums) {
  __m256 sum[W];
  for (size_t i = 0; i < W; ++i) sum[i] = get(sums[i]);
  for (size_t at = 0; at < n; at += kPanel, w += kPanelBytes<Read>) {
    const size_t width = n - at < kPanel ? n - at : kPanel;
    WeightPanel panel[W];
    for (size_t i = 0; i < W; ++i) {
      fetch<2>(w + (i + W) * w_bytes, kPanelBytes<Read>);
      Read::panel(w + i * w_bytes, width, panel[i]);
    }
    for (size_t part = 0; part < width / 8; ++part) {
      const __m256 from_x = _mm256_loadu_ps(x + at + 8 * part);
      for (size_t i = 0; i < W; ++i) {
        sum[i] = _mm256_fmadd_ps(expand<Read::format>(panel[i], part), from_x, sum[i]);
      }
    }
  }
  for (size_t i = 0; i < W; ++i) set(sums[i], sum[i]);
}
template <class Read>
void stream_f32(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums) {
  const auto* from = static_cast<const uint8_t*>(w);
  size_t i = 0;
  for (; i + 4 <= w_rows; i += 4) stream_rows<Read, 4>(from + i * w_bytes, w_bytes, x, n, sums + i);
  for (; i < w_rows; ++i) stream_rows<Read, 1>(from + i * w_bytes, w_bytes, x, n, sums + i);
}

// ---- plain numbers

struct PlainF32 {
  static constexpr size_t bytes = 4;
  static __m256 load(const uint8_t* from) { return _mm256_loadu_ps(reinterpret_cast<const float*>(from)); }
};
struct PlainF16 {
  static constexpr size_t bytes = 2;
  static __m256 load(const uint8_t* from) { return _mm256_cvtph_ps(load128(from)); }
};
struct PlainBf16 {
  static constexpr size_t bytes = 2;
  static __m256 load(const uint8_t* from) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(from)), 16));
  }
};
template <class Plain>
__m256 load_part(const uint8_t* from, size_t n) {  // fewer than 8, the rest 0
  uint8_t part[32] = {};
  __builtin_memcpy(part, from, Plain::bytes * n);
  return Plain::load(part);
}

template <class Plain>
void decode_plain(const void* bytes, size_t n, float* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    fetch_ahead(from + Plain::bytes * i, 1);
    _mm256_storeu_ps(out + i, Plain::load(from + Plain::bytes * i));
  }
  if (i < n) _mm256_maskstore_ps(out + i, up_to(n - i), load_part<Plain>(from + Plain::bytes * i, n - i));
}

template <class Plain, size_t W>
void stream_plain_rows(const uint8_t* w, size_t w_bytes, const float* x, size_t n, Lanes* sums) {
  __m256 sum[W];
  for (size_t i = 0; i < W; ++i) sum[i] = get(sums[i]);
  size_t at = 0;
  for (; at + 8 <= n; at += 8) {
    const __m256 from_x = _mm256_loadu_ps(x + at);
    for (size_t i = 0; i < W; ++i) {
      const uint8_t* from = w + i * w_bytes + Plain::bytes * at;
      fetch<2>(from + W * w_bytes, 1);
      sum[i] = _mm256_fmadd_ps(Plain::load(from), from_x, sum[i]);
    }
  }
  const __m256 rest_of_x = _mm256_maskload_ps(x + at, up_to(n - at));
  for (size_t i = 0; i < W; ++i) {
    const __m256 rest = load_part<Plain>(w + i * w_bytes + Plain::bytes * at, n - at);
    set(sums[i], at < n ? _mm256_fmadd_ps(rest, rest_of_x, sum[i]) : sum[i]);
  }
}
template <class Plain>
void stream_plain(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums) {
  const auto* from = static_cast<const uint8_t*>(w);
  size_t i = 0;
  for (; i + 4 <= w_rows; i += 4) stream_plain_rows<Plain, 4>(from + i * w_bytes, w_bytes, x, n, sums + i);
  for (; i < w_rows; ++i) stream_plain_rows<Plain, 1>(from + i * w_bytes, w_bytes, x, n, sums + i);
}

void encode_f16(const float* x, size_t n, uint16_t* out) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
  }
  for (; i < n; ++i) {
    out[i] = uint16_t(_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(x[i]), _MM_FROUND_TO_NEAREST_INT)));
  }
}

template <class Read>
void add(Kernels& table) {
  table.decode[size_t(Read::format)] = decode<Read>;
  table.unpack[size_t(Read::format)] = unpack<Read>;
  table.stream_f32[size_t(Read::format)] = stream_f32<Read>;
  table.stream_panels[size_t(Read::format)] = stream_panels<Read>;
}

}  // namespace

void override_avx2_formats(Kernels& table) {
  table.decode[size_t(Format::f16)] = decode_plain<PlainF16>;
  table.decode[size_t(Format::bf16)] = decode_plain<PlainBf16>;
  table.stream_f32[size_t(Format::f32)] = stream_plain<PlainF32>;
  table.stream_f32[size_t(Format::f16)] = stream_plain<PlainF16>;
  table.stream_f32[size_t(Format::bf16)] = stream_plain<PlainBf16>;
  table.encode_f16 = encode_f16;
  add<Of32<ReadQ8_0>>(table);
  add<Of32<ReadQ4_0>>(table);
  add<Of32<ReadQ4_1>>(table);
  add<Of32<ReadQ5_0>>(table);
  add<Of32<ReadQ5_1>>(table);
  add<Of32<ReadIq4Nl>>(table);
  add<Of256<ReadQ2K>>(table);
  add<Of256<ReadQ3K>>(table);
  add<Of256<ReadQ4K>>(table);
  add<Of256<ReadQ5K>>(table);
  add<Of256<ReadQ6K>>(table);
  add<Of256<ReadIq4Xs>>(table);
  add<Of256<ReadTq1>>(table);
  add<Of256<ReadTq2>>(table);
}

}  // namespace varve
