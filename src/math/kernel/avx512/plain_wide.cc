// Products of many rows of plain numbers, in f32: a lane is a weight row. 32 weight rows are widened and
// turned, a stretch of 128 columns at a time, stay in the first-level cache and meet all inputs.
#include "math/kernel/avx512/pack.h"
#include "math/kernel/avx512/plain.h"

namespace varve {
namespace {

constexpr size_t kDepth = kPlainDepth, kRows = kWideWeights / 16;  // registers of weight rows

struct Inputs {  // of 16 rows
  float x[kDepth][16];
};
static_assert(sizeof(Inputs) == sizeof(WideInputs));

void pack_plain(const float* x, size_t stride, size_t rows, size_t n, WideInputs* out, size_t apart) {
  for (size_t at = 0; at < n; at += kDepth, out += apart) {
    auto& to = *reinterpret_cast<Inputs*>(out->bytes);
    for (size_t k = 0; k < kDepth; k += 16) {
      __m512i v[16];
      const size_t left = n > at + k ? n - at - k : 0;
      for (size_t i = 0; i < 16; ++i)
        v[i] = i < rows && left > 0 ? _mm512_maskz_loadu_epi32(up_to(left), x + i * stride + at + k)
                                    : _mm512_setzero_si512();
      turn(v);
      for (size_t i = 0; i < 16; ++i) _mm512_store_si512(to.x[k + i], v[i]);
    }
  }
}

struct alignas(64) Turned {
  float w[kDepth][kRows][16];
};

// What is read: 16 values of a row from `at` on, and 0 beyond n.
template <class Number>
struct Of {
  static __m512 load(const uint8_t* row, size_t at, size_t n) {
    return n - at >= 16 ? Number::load(row + Number::bytes * at)
                        : Number::load(row + Number::bytes * at, up_to(n - at));
  }
  static void fetch_at(const uint8_t* row, size_t at) {
    fetch<2>(row + Number::bytes * at, Number::bytes * kDepth);
  }
};
struct OfRf8 {
  static const uint8_t* block(const uint8_t* row, size_t at) { return row + at / 128 * sizeof(BlockRf8); }
  static __m512 load(const uint8_t* row, size_t at, size_t) {
    const uint8_t* from = block(row, at);
    return _mm512_mul_ps(unit_of(from), sized(from + 1 + at % 128));
  }
  static void fetch_at(const uint8_t* row, size_t at) { fetch<2>(block(row, at), sizeof(BlockRf8)); }
};

template <class From>
void fill(const WeightRows& w, size_t at, Turned& out) {
  const auto* from = static_cast<const uint8_t*>(w.bytes);
  const bool more = at + kDepth < w.n;
  for (size_t part = 0; part < kRows; ++part) {
    // Row by row: the same place of many rows tends to be in one set of a cache.
    alignas(64) float ordered[16][kDepth];
    for (size_t i = 0; i < 16; ++i, from += w.row_bytes) {
      const size_t n = 16 * part + i < w.rows ? w.n : 0;
      if (n > 0) From::fetch_at(more ? from : from + kWideWeights * w.row_bytes, more ? at + kDepth : 0);
      for (size_t k = 0; k < kDepth; k += 16)
        _mm512_store_ps(ordered[i] + k, at + k < n ? From::load(from, at + k, n) : _mm512_setzero_ps());
    }
    for (size_t k = 0; k < kDepth; k += 16) {
      __m512i v[16];
      for (size_t i = 0; i < 16; ++i) v[i] = _mm512_load_si512(ordered[i] + k);
      turn(v);
      for (size_t i = 0; i < 16; ++i) _mm512_store_si512(out.w[k + i][part], v[i]);
    }
  }
}

constexpr size_t kAtOnce =
    8;  // input rows: with the weights' two registers enough sums to hide their latency

void add_rows(const Turned& w, const float* x, __m512 (*sums)[kRows]) {
  __m512 sum[kAtOnce][kRows];
  for (size_t j = 0; j < kAtOnce; ++j) {
    for (size_t r = 0; r < kRows; ++r) sum[j][r] = sums[j][r];
  }
  for (size_t k = 0; k < kDepth; ++k, x += 16) {
    __m512 from_w[kRows];
    for (size_t r = 0; r < kRows; ++r) from_w[r] = _mm512_load_ps(w.w[k][r]);
    for (size_t j = 0; j < kAtOnce; ++j) {
      const __m512 from_x = _mm512_set1_ps(x[j]);
      for (size_t r = 0; r < kRows; ++r) sum[j][r] = _mm512_fmadd_ps(from_w[r], from_x, sum[j][r]);
    }
  }
  for (size_t j = 0; j < kAtOnce; ++j) {
    for (size_t r = 0; r < kRows; ++r) sums[j][r] = sum[j][r];
  }
}

template <class From>
void multiply_wide(const WeightRows& w, const WideInputs* x, size_t x_rows, float* y, size_t stride,
                   bool add) {
  Turned turned;
  __m512 sums[kWideRows][kRows];
  for (size_t j = 0; j < (x_rows + kAtOnce - 1) / kAtOnce * kAtOnce; ++j) {
    for (size_t r = 0; r < kRows; ++r) sums[j][r] = _mm512_setzero_ps();
  }
  for (size_t at = 0; at < w.n; at += kDepth, x += (x_rows + 15) / 16) {
    fill<From>(w, at, turned);
    for (size_t j = 0; j < x_rows; j += kAtOnce)
      add_rows(turned, reinterpret_cast<const Inputs*>(x[j / 16].bytes)->x[0] + j % 16, sums + j);
  }
  for (size_t j = 0; j < x_rows; ++j, y += stride) {
    for (size_t r = 0; 16 * r < w.rows; ++r) {
      const __mmask16 mask = up_to(w.rows - 16 * r);
      const __m512 before = add ? _mm512_maskz_loadu_ps(mask, y + 16 * r) : _mm512_setzero_ps();
      _mm512_mask_storeu_ps(y + 16 * r, mask, _mm512_add_ps(before, sums[j][r]));
    }
  }
}

}  // namespace

void plain_wide_avx512(SideKernels& table) {
  table.pack_plain = pack_plain;
  table.multiply_plain[size_t(Plain::f32)] = multiply_wide<Of<PlainF32>>;
  table.multiply_plain[size_t(Plain::f16)] = multiply_wide<Of<PlainF16>>;
  table.multiply_plain[size_t(Plain::bf16)] = multiply_wide<Of<PlainBf16>>;
  table.multiply_plain[size_t(Plain::rf8)] = multiply_wide<OfRf8>;
}

}  // namespace varve
