// Formats that have no kernels of their own, expanded 32 values at a time (expand.h; generic/expand.cc says
// what the bytes mean).
#include "math/kernel/side.h"

#include "math/kernel/avx2/readers.h"

namespace varve {
namespace {

constexpr size_t kGroups = 8;

uint64_t load64(const uint8_t* from) {
  uint64_t value;
  __builtin_memcpy(&value, from, 8);
  return value;
}
__m256 floats(const uint8_t* eight, int mask) {
  const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(eight)));
  return _mm256_cvtepi32_ps(_mm256_and_si256(wide, _mm256_set1_epi32(mask)));
}
void keep(__m256 scale, __m256 min, BlockExpanded& out) {
  _mm256_store_ps(out.scale, scale);
  _mm256_store_ps(out.min, min);
}

// ---- codes of 2, 3 or 4 bits without a gap that name a level of a set

// Of 32 codes in the last bytes of 16: the two bytes in which a code lies, and what moves it to their top. A
// register of words holds values 0 to 7 and 16 to 23, the other one those between.
struct alignas(32) Places {
  uint8_t bytes[2][32];
  uint16_t factors[2][16];
};
template <int bits>
constexpr Places places() {
  Places all{};
  for (int other = 0; other < 2; ++other) {
    for (int word = 0; word < 16; ++word) {
      const int value = word / 8 * 16 + other * 8 + word % 8, at = bits * value;
      const int byte = 16 - 4 * bits + at / 8;
      all.bytes[other][2 * word] = uint8_t(byte);
      all.bytes[other][2 * word + 1] = uint8_t(byte + 1 < 16 ? byte + 1 : 0x80);
      all.factors[other][word] = uint16_t(1 << (16 - bits - at % 8));
    }
  }
  return all;
}

template <int bits>
struct Sets {
  static constexpr size_t values = 256, bytes = 2 + kGroups + 32 * bits;
  static constexpr Places kPlaces = places<bits>();
  static __m256i codes(__m256i sixteen, int other) {
    const __m256i words = _mm256_shuffle_epi8(sixteen, load256(kPlaces.bytes[other]));
    const auto* factors = reinterpret_cast<const __m256i*>(kPlaces.factors[other]);
    return _mm256_srli_epi16(_mm256_mullo_epi16(words, _mm256_load_si256(factors)), 16 - bits);
  }
  static void read(const uint8_t* from, const LevelTable* levels, BlockExpanded& out, size_t) {
    const __m256 step = _mm256_set1_ps(half(from) * levels->step);
    const __m256 scale = _mm256_mul_ps(step, floats(from + 2, 63));
    keep(scale, _mm256_mul_ps(scale, _mm256_set1_ps(levels->offset)), out);
    for (size_t i = 0; i < kGroups; ++i) {
      const uint8_t* end = from + 2 + kGroups + 4 * bits * (i + 1);  // before it lie 16 bytes at least
      const __m256i sixteen = _mm256_broadcastsi128_si256(load128(end - 16));
      const __m256i set = _mm256_broadcastsi128_si256(load128(levels->levels[from[2 + i] >> 6]));
      store(out.q + 32 * i,
            _mm256_shuffle_epi8(set, _mm256_packus_epi16(codes(sixteen, 0), codes(sixteen, 1))));
    }
  }
};

// ---- bits

// All ones where the bit of value i is set in 32 bits.
__m256i spread(const uint8_t* bits) {
  const __m256i all =
      _mm256_shuffle_epi8(_mm256_set1_epi32(int(load32(bits))),
                          _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
  const __m256i bit = _mm256_set1_epi64x(int64_t(0x8040201008040201));
  return _mm256_cmpeq_epi8(_mm256_and_si256(all, bit), bit);
}

struct Slim2 {
  static constexpr size_t values = 256, bytes = sizeof(BlockSlim2);
  static void read(const uint8_t* from, const LevelTable*, BlockExpanded& out, size_t) {
    const uint8_t* scales = from + offsetof(BlockSlim2, scales);
    const __m256 mins = _mm256_mul_ps(floats(scales, 0xf0), _mm256_set1_ps(1.f / 16));
    keep(_mm256_mul_ps(_mm256_set1_ps(half(from)), floats(scales, 15)),
         _mm256_mul_ps(_mm256_set1_ps(half(from + offsetof(BlockSlim2, m))), mins), out);
    // What a plane counts in a group of so many; a group looks at three, also where fewer are its own.
    alignas(16) static constexpr uint32_t kWorth[4][4] = {
        {0, 0, 0}, {0x01010101, 0, 0}, {0x01010101, 0x02020202, 0}, {0x01010101, 0x02020202, 0x04040404}};
    alignas(32) uint8_t planes[4 * (3 * kGroups + 3)] = {};
    __builtin_memcpy(planes, from + offsetof(BlockSlim2, planes), sizeof(BlockSlim2::planes));
    const uint8_t* plane = planes;
    uint32_t widths = load16(from + offsetof(BlockSlim2, widths));
    for (size_t i = 0; i < kGroups; ++i, widths >>= 2) {
      const uint32_t width = widths & 3;
      __m256i q = _mm256_setzero_si256();
      for (size_t bit = 0; bit < 3; ++bit)
        q = _mm256_or_si256(
            q, _mm256_and_si256(spread(plane + 4 * bit), _mm256_set1_epi32(int(kWorth[width][bit]))));
      store(out.q + 32 * i, q);
      plane += 4 * width;
    }
  }
};

struct Q1 {
  static constexpr size_t values = 128, bytes = sizeof(BlockQ1);
  static void read(const uint8_t* from, const LevelTable*, BlockExpanded& out, size_t at) {
    const __m128 min = _mm_set1_ps(half(from));
    _mm_store_ps(out.min + at / 32, min);
    _mm_store_ps(out.scale + at / 32, _mm_add_ps(min, min));
    for (size_t i = 0; i < 4; ++i)
      store(out.q + at + 32 * i, _mm256_and_si256(spread(from + offsetof(BlockQ1, signs) + 4 * i), all(1)));
  }
};

// ---- nibbles

struct Dgq4 {
  static constexpr size_t values = 256, bytes = sizeof(BlockDgq4);
  static void read(const uint8_t* from, const LevelTable*, BlockExpanded& out, size_t) {
    const uint8_t* groups = from + offsetof(BlockDgq4, groups);
    const __m256 scale = _mm256_mul_ps(_mm256_set1_ps(half(from)), floats(groups, 15));
    keep(scale, _mm256_mul_ps(scale, _mm256_mul_ps(floats(groups, 0xf0), _mm256_set1_ps(1.f / 16))), out);
    for (size_t i = 0; i < kGroups; ++i)
      store(out.q + 32 * i, nibbles(from + offsetof(BlockDgq4, q) + 16 * i));
  }
};

__extension__ using Codes = unsigned __int128;
struct S4 {
  static constexpr size_t values = 64, bytes = sizeof(BlockS4);
  static void read(const uint8_t* from, const LevelTable*, BlockExpanded& out, size_t at) {
    const uint64_t mask = _pdep_u64(0xffffffff, load64(from));  // it may have more bits than there are codes
    const uint8_t* q = from + offsetof(BlockS4, q);
    const Codes codes = Codes(load64(q + 8)) << 64 | load64(q);
    const auto sixteen = [&](int i) {  // value j in nibble j
      constexpr uint64_t kEach = 0x1111111111111111;
      const int before = __builtin_popcountll(mask & ((uint64_t(1) << 16 * i) - 1));
      const uint64_t there = _pdep_u64(mask >> 16 * i, kEach) * 15;
      return int64_t(_pdep_u64(uint64_t(codes >> (4 * before & 127)), there) | (~there & 8 * kEach));
    };
    const __m256i both = _mm256_setr_epi64x(sixteen(0), sixteen(1), sixteen(2), sixteen(3));
    const __m256i even = _mm256_and_si256(both, all(15));
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(both, 4), all(15));
    const __m256i a = _mm256_unpacklo_epi8(even, odd), b = _mm256_unpackhi_epi8(even, odd);
    store(out.q + at, _mm256_permute2x128_si256(a, b, 0x20));
    store(out.q + at + 32, _mm256_permute2x128_si256(a, b, 0x31));
    const float d = half(from + offsetof(BlockS4, d));
    for (size_t i = at / 32; i < at / 32 + 2; ++i) out.scale[i] = d, out.min[i] = 8 * d;
  }
};

template <class Of>
void expand(const void* bytes, size_t values, const LevelTable* levels, BlockExpanded* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  constexpr size_t each = kPanel / Of::values;
  for (size_t at = 0; at < values; at += kPanel, ++out) {
    fetch_ahead(from, each * Of::bytes);
    if (values - at < kPanel) __builtin_memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < each && at + i * Of::values < values; ++i, from += Of::bytes)
      Of::read(from, levels, *out, i * Of::values);
  }
}

void decode_expanded(const BlockExpanded* blocks, size_t values, float* out) {
  for (size_t at = 0; at < values; at += 8) {
    const BlockExpanded& block = blocks[at / kPanel];
    const size_t i = at % kPanel;
    const __m256 value = _mm256_mul_ps(_mm256_set1_ps(block.scale[i / 32]), floats(block.q + i, 255));
    _mm256_storeu_ps(out + at, _mm256_sub_ps(value, _mm256_set1_ps(block.min[i / 32])));
  }
}

}  // namespace

void expanding_avx2(SideKernels& table) {
  table.expand[size_t(Expanding::sets2)] = expand<Sets<2>>;
  table.expand[size_t(Expanding::sets3)] = expand<Sets<3>>;
  table.expand[size_t(Expanding::sets4)] = expand<Sets<4>>;
  table.expand[size_t(Expanding::s4_0)] = expand<S4>;
  table.expand[size_t(Expanding::slim2)] = expand<Slim2>;
  table.expand[size_t(Expanding::dgq4)] = expand<Dgq4>;
  table.expand[size_t(Expanding::q1_0)] = expand<Q1>;
  table.decode_expanded = decode_expanded;
}

}  // namespace varve
