// bf16 in fewer bytes, 32 values at a time; the few exponents that have no code are put in afterwards.
#include "math/kernel/avx2/lanes.h"

namespace varve {
namespace {

constexpr size_t kAhead = 3072;  // bytes: memory is far away

uint64_t load_plane(const uint8_t* from) {
  uint64_t bits;
  __builtin_memcpy(&bits, from, sizeof(bits));
  return bits;
}
uint64_t others_of(const uint8_t* group) {
  return load_plane(group) & load_plane(group + 8) & load_plane(group + 16);
}

// `value` in the bytes whose bit is set.
__m256i where(const uint8_t* plane, char value) {
  int bits;
  __builtin_memcpy(&bits, plane, sizeof(bits));
  const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(int64_t(0x8040201008040201));
  const __m256i mine = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(bits), spread), bit);
  return _mm256_and_si256(_mm256_cmpeq_epi8(mine, bit), _mm256_set1_epi8(value));
}

// Eight words here and eight 16 further on: fours of them come in turns.
void put(__m256i words, uint16_t* out) {
  const __m256i sorted = _mm256_permute4x64_epi64(words, 0xd8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(sorted));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16), _mm256_extracti128_si256(sorted, 1));
}

// Places [32 half, ...) of a group.
void unpack_half(const uint8_t* group, size_t half, __m256i head, uint16_t* out) {
  const uint8_t* plane = group + 4 * half;
  const __m256i below =
      _mm256_add_epi8(_mm256_add_epi8(where(plane, 1), where(plane + 8, 2)), where(plane + 16, 4));
  const __m256i exponent = _mm256_sub_epi8(head, below), sign = _mm256_set1_epi8(-128);
  const __m256i rest =
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(group + offsetof(CodedGroup, rest) + 32 * half));
  const __m256i high = _mm256_or_si256(_mm256_andnot_si256(sign, _mm256_srli_epi16(exponent, 1)),
                                       _mm256_and_si256(rest, sign));
  const __m256i low = _mm256_or_si256(_mm256_and_si256(_mm256_slli_epi16(exponent, 7), sign),
                                      _mm256_andnot_si256(sign, rest));
  put(_mm256_unpacklo_epi8(low, high), out + 8 * half);
  put(_mm256_unpackhi_epi8(low, high), out + 32 + 8 * half);
}

void unpack_bf16(const CodedRow& row, size_t first, size_t n, uint16_t* out) {
  const auto* bytes = static_cast<const uint8_t*>(row.bytes);
  const size_t room = row.row_bytes - 1 - row.n / kCodedValues * sizeof(CodedGroup);
  const uint8_t *others = bytes + 1, *group = others + room;
  size_t used = 0;
  for (size_t at = 0; at < first; at += kCodedValues, group += sizeof(CodedGroup))
    used += size_t(__builtin_popcountll(others_of(group)));
  used = used < room ? used : room;
  const __m256i head = _mm256_set1_epi8(char(bytes[0]));
  for (size_t at = 0; at < n; at += kCodedValues, group += sizeof(CodedGroup), out += kCodedValues) {
    for (size_t line = 0; line < sizeof(CodedGroup); line += 64) __builtin_prefetch(group + kAhead + line);
    unpack_half(group, 0, head, out);
    unpack_half(group, 1, head, out);
    const uint8_t* other = others + used;
    for (uint64_t odd = others_of(group); odd != 0; odd &= odd - 1, ++other) {
      const auto p = size_t(__builtin_ctzll(odd));
      uint16_t& value = out[p % 16 / 4 * 16 + p / 16 * 4 + p % 4];
      value = uint16_t((value & 0x807f) | *other << 7);
    }
    used = size_t(other - others);
    used = used < room ? used : room;
  }
}

}  // namespace

void override_avx2_coded(Kernels& table) {
  table.unpack_bf16 = unpack_bf16;
}

}  // namespace varve
