// Products of planes of bits: sixteen rows in the bytes of a register, two planes in its halves; one shuffle
// looks up the same four inputs' sums for all of them.
#include "math/kernel/planes.h"

#include "math/kernel/avx2/lanes.h"

namespace varve {
namespace {

constexpr size_t kRows = 16;

__m256i both(const uint8_t* table) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
}

void tables(const InputPanel* x, bool turned, size_t values, PlaneTables* out) {
  const __m256i bit = _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m256i chosen[4];
  for (int b = 0; b < 4; ++b) {
    const __m256i one = _mm256_set1_epi16(int16_t(1 << b));
    chosen[b] = _mm256_cmpeq_epi16(_mm256_and_si256(bit, one), one);
  }
  const __m256i bytes = _mm256_set1_epi16(0xff);
  for (size_t at = 0; at < values; at += kPlaneValues, ++out) {
    const InputPanel& panel = x[at / kPanel];
    const size_t first = at % kPanel;
    for (size_t t = 0; t < 32; ++t) {
      const size_t i = first + 4 * t;  // four that lie together are together when turned, too
      const int8_t* q = panel.q + (turned ? i % 16 / 4 * 64 + i / 16 * 4 : i);
      __m256i sums = _mm256_setzero_si256();
      for (int b = 0; b < 4; ++b)
        sums = _mm256_add_epi16(sums, _mm256_and_si256(chosen[b], _mm256_set1_epi16(q[b])));
      const __m256i halves = _mm256_permute4x64_epi64(
          _mm256_packus_epi16(_mm256_and_si256(sums, bytes), _mm256_srli_epi16(sums, 8)), 0xd8);
      _mm_store_si128(reinterpret_cast<__m128i*>(out->low[t]), _mm256_castsi256_si128(halves));
      _mm_store_si128(reinterpret_cast<__m128i*>(out->high[t]), _mm256_extracti128_si256(halves, 1));
    }
    out->sum = 0;
    for (size_t i = 0; i < 8; ++i) out->sum += panel.sum[first / 16 + i];
    for (size_t i = 0; i < 4; ++i) out->scale[i] = panel.scale[first / 16 + 2 * i];
  }
}

// Byte j of row i to byte i of row j, in both halves.
void transpose(__m256i* m) {
  __m256i other[kRows];
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < 8; ++i) {
      other[2 * i] = _mm256_unpacklo_epi8(m[i], m[i + 8]);
      other[2 * i + 1] = _mm256_unpackhi_epi8(m[i], m[i + 8]);
    }
    for (size_t i = 0; i < 8; ++i) {
      m[2 * i] = _mm256_unpacklo_epi8(other[i], other[i + 8]);
      m[2 * i + 1] = _mm256_unpackhi_epi8(other[i], other[i + 8]);
    }
  }
}

// The sums of 32 inputs, of 16 rows: eight in each of low, high; a plane in each half.
struct Sums {
  __m256i low, high;
};
inline void look_up(__m256i which, const uint8_t* low, const uint8_t* high, Sums& sums) {
  const __m256i a = _mm256_shuffle_epi8(both(low), which), b = _mm256_shuffle_epi8(both(high), which);
  sums.low = _mm256_add_epi16(sums.low, _mm256_unpacklo_epi8(a, b));
  sums.high = _mm256_add_epi16(sums.high, _mm256_unpackhi_epi8(a, b));
}

inline void add_codes(__m256i sums, size_t bit, bool two, __m256i& codes) {
  const __m256i first = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sums));
  codes = _mm256_add_epi32(codes, _mm256_slli_epi32(first, int(bit)));
  if (!two) return;
  const __m256i second = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sums, 1));
  codes = _mm256_add_epi32(codes, _mm256_slli_epi32(second, int(bit) + 1));
}

// Planes `bit` and, where there are two, the next, of 16 rows: codes of each 32 inputs, by eight rows.
inline void add_planes(const uint8_t* const* rows, size_t bit, bool two, const PlaneTables& x,
                       __m256i codes[4][2]) {
  __m256i m[kRows];
  const size_t at = 4 + kPlaneBytes * bit;
  for (size_t i = 0; i < kRows; ++i) {
    const auto* from = reinterpret_cast<const __m128i*>(rows[i] + at);
    m[i] = two ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
               : _mm256_castsi128_si256(_mm_loadu_si128(from));
  }
  transpose(m);
  const __m256i nibble = _mm256_set1_epi8(15);
  for (size_t quarter = 0; quarter < 4; ++quarter) {
    Sums sums{_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t i = 4 * quarter; i < 4 * quarter + 4; ++i) {
      look_up(_mm256_and_si256(m[i], nibble), x.low[2 * i], x.high[2 * i], sums);
      look_up(_mm256_and_si256(_mm256_srli_epi16(m[i], 4), nibble), x.low[2 * i + 1], x.high[2 * i + 1],
              sums);
    }
    add_codes(sums.low, bit, two, codes[quarter][0]);
    add_codes(sums.high, bit, two, codes[quarter][1]);
  }
}

inline __m256 floats(__m256i halves) {  // of the low 16 bits of eight numbers
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(halves, halves), 0xd8);
  return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}

// ahead: from these rows to the next sixteen.
template <size_t bits>
void multiply_sixteen(const uint8_t** rows, size_t ahead, size_t n, const PlaneTables* x, __m256* sum) {
  for (size_t at = 0; at < n; at += kPlaneValues, ++x) {
    __m256i codes[4][2];
    for (auto& quarter : codes) quarter[0] = quarter[1] = _mm256_setzero_si256();
    for (size_t bit = 0; bit < bits; bit += 2) add_planes(rows, bit, bit + 1 < bits, *x, codes);
    alignas(32) uint32_t ends[kRows];
    for (size_t i = 0; i < kRows; ++i) {
      __builtin_memcpy(&ends[i], rows[i], 4);
      _mm_prefetch(reinterpret_cast<const char*>(rows[i] + ahead), _MM_HINT_T0);
      rows[i] += plane_block_bytes(bits);
    }
    for (size_t half = 0; half < 2; ++half) {
      __m256 part = _mm256_setzero_ps();
      for (size_t quarter = 0; quarter < 4; ++quarter)
        part = _mm256_fmadd_ps(_mm256_set1_ps(x->scale[quarter]), _mm256_cvtepi32_ps(codes[quarter][half]),
                               part);
      const __m256i two = _mm256_load_si256(reinterpret_cast<const __m256i*>(ends + 8 * half));
      const __m256 scale = floats(_mm256_and_si256(two, _mm256_set1_epi32(0xffff)));
      const __m256 least = floats(_mm256_srli_epi32(two, 16));
      sum[half] = _mm256_fmadd_ps(least, _mm256_set1_ps(x->sum), _mm256_fmadd_ps(scale, part, sum[half]));
    }
  }
}

// Rows that are not there are the last one once more.
template <size_t bits>
void multiply_of(const WeightRows& w, const PlaneTables* x, float* out) {
  const auto* from = static_cast<const uint8_t*>(w.bytes);
  for (size_t row = 0; row < w.rows; row += kRows) {
    const uint8_t* rows[kRows];
    for (size_t i = 0; i < kRows; ++i)
      rows[i] = from + (row + i < w.rows ? row + i : w.rows - 1) * w.row_bytes;
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    multiply_sixteen<bits>(rows, kRows * w.row_bytes, w.n, x, sum);
    alignas(32) float all[kRows];
    _mm256_store_ps(all, sum[0]), _mm256_store_ps(all + 8, sum[1]);
    for (size_t i = 0; i < kRows && row + i < w.rows; ++i) out[row + i] = all[i];
  }
}

void multiply(const WeightRows& w, size_t bits, const PlaneTables* x, float* out) {
  constexpr void (*kOf[])(const WeightRows&, const PlaneTables*, float*) = {
      nullptr,        multiply_of<1>, multiply_of<2>, multiply_of<3>, multiply_of<4>,
      multiply_of<5>, multiply_of<6>, multiply_of<7>, multiply_of<8>};
  kOf[bits](w, x, out);
}

}  // namespace

void plane_tables_avx2(const InputPanel* x, bool turned, size_t values, PlaneTables* out) {
  tables(x, turned, values, out);
}
void plane_products_avx2(const WeightRows& w, size_t bits, const PlaneTables* x, float* out) {
  multiply(w, bits, x, out);
}

}  // namespace varve
