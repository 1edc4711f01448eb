// bf16 in fewer bytes, 64 values at a time: a plane of bits is a mask, and one instruction (VBMI2) brings the
// exponents that have no code to their places.
#include "math/kernel/avx512/lanes.h"

#define VARVE_VBMI2 __attribute__((target("avx512vbmi2,popcnt")))

namespace varve {
namespace {

constexpr size_t kAhead = 3072;  // bytes at least: memory is far away

void fetch(const uint8_t* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + at);
}

uint64_t plane(const uint8_t* group, size_t bit) {
  uint64_t bits;
  __builtin_memcpy(&bits, group + 8 * bit, sizeof(bits));
  return bits;
}
uint64_t others_of(const uint8_t* group) {
  return plane(group, 0) & plane(group, 1) & plane(group, 2);
}

struct Words {  // of 64 values: fours of 0..31 in turns (0, 16, 4, 20, ...), then of 32..63
  __m512i low, high;
};

// Where a row is read: its next group, and how many of its others are used up.
struct Reader {
  const uint8_t *others, *group;
  size_t room, used, ahead;
  __m512i head;
};

VARVE_VBMI2 inline Reader begin(const uint8_t* row, size_t row_bytes, size_t n, size_t ahead) {
  const size_t room = row_bytes - 1 - n / kCodedValues * sizeof(CodedGroup);
  fetch(row + ahead, room);
  return {row + 1, row + 1 + room, room, 0, ahead, _mm512_set1_epi8(char(row[0]))};
}

VARVE_VBMI2 inline Words next(Reader& from) {
  const uint8_t* group = from.group;
  fetch(group + from.ahead, sizeof(CodedGroup));
  const uint64_t odd = others_of(group);
  __m512i exponent = _mm512_mask_sub_epi8(from.head, plane(group, 0), from.head, _mm512_set1_epi8(1));
  exponent = _mm512_mask_sub_epi8(exponent, plane(group, 1), exponent, _mm512_set1_epi8(2));
  exponent = _mm512_mask_sub_epi8(exponent, plane(group, 2), exponent, _mm512_set1_epi8(4));
  exponent = _mm512_mask_expand_epi8(exponent, odd, _mm512_loadu_si512(from.others + from.used));
  from.used += size_t(__builtin_popcountll(odd));
  from.used = from.used < from.room ? from.used : from.room;
  from.group += sizeof(CodedGroup);
  const __m512i rest = _mm512_loadu_si512(group + offsetof(CodedGroup, rest)), sign = _mm512_set1_epi8(-128);
  constexpr int kChoose = 0xca;  // bits of b where a is 1, else of c
  const __m512i high = _mm512_ternarylogic_epi64(sign, rest, _mm512_srli_epi16(exponent, 1), kChoose);
  const __m512i low = _mm512_ternarylogic_epi64(sign, _mm512_slli_epi16(exponent, 7), rest, kChoose);
  return {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
}

VARVE_VBMI2 void unpack_bf16(const CodedRow& row, size_t first, size_t n, uint16_t* out) {
  Reader from = begin(static_cast<const uint8_t*>(row.bytes), row.row_bytes, row.n, kAhead);
  for (size_t at = 0; at < first; at += kCodedValues, from.group += sizeof(CodedGroup))
    from.used += size_t(__builtin_popcountll(others_of(from.group)));
  from.used = from.used < from.room ? from.used : from.room;
  const __m512i fours = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  for (size_t at = 0; at < n; at += kCodedValues) {
    const Words words = next(from);
    _mm512_storeu_si512(out + at, _mm512_permutexvar_epi64(fours, words.low));
    _mm512_storeu_si512(out + at + 32, _mm512_permutexvar_epi64(fours, words.high));
  }
}

// W rows at once, for the same inputs.
template <size_t W>
VARVE_VBMI2 void stream_rows(const CodedRow& row, const float* x, Lanes* sums) {
  Reader from[W];
  __m512 sum[W];
  const size_t step = W * row.row_bytes, ahead = (kAhead + step - 1) / step * step;
  for (size_t i = 0; i < W; ++i) {
    from[i] = begin(static_cast<const uint8_t*>(row.bytes) + i * row.row_bytes, row.row_bytes, row.n, ahead);
    sum[i] = get(sums[i]);
  }
  const __m512i zero = _mm512_setzero_si512();
  for (size_t at = 0; at < row.n; at += kCodedValues) {
    const __m512 x0 = _mm512_loadu_ps(x + at), x1 = _mm512_loadu_ps(x + at + 16);
    const __m512 x2 = _mm512_loadu_ps(x + at + 32), x3 = _mm512_loadu_ps(x + at + 48);
    for (size_t i = 0; i < W; ++i) {
      const Words words = next(from[i]);
      sum[i] = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_unpacklo_epi16(zero, words.low)), x0, sum[i]);
      sum[i] = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_unpackhi_epi16(zero, words.low)), x1, sum[i]);
      sum[i] = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_unpacklo_epi16(zero, words.high)), x2, sum[i]);
      sum[i] = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_unpackhi_epi16(zero, words.high)), x3, sum[i]);
    }
  }
  for (size_t i = 0; i < W; ++i) set(sums[i], sum[i]);
}

VARVE_VBMI2 void stream_coded(const CodedRow& first, size_t rows, const float* x, Lanes* sums) {
  const auto row = [&](size_t i) {
    return CodedRow{static_cast<const uint8_t*>(first.bytes) + i * first.row_bytes, first.row_bytes, first.n};
  };
  size_t i = 0;
  for (; i + 4 <= rows; i += 4) stream_rows<4>(row(i), x, sums + i);
  for (; i < rows; ++i) stream_rows<1>(row(i), x, sums + i);
}

}  // namespace

void override_avx512_coded(Kernels& table) {
  table.unpack_bf16 = unpack_bf16;
  table.stream_coded = stream_coded;
}

}  // namespace varve
