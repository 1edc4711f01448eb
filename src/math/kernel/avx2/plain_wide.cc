// Products of many rows of plain numbers, in f32: a lane is a weight row. 16 weight rows are widened and
// turned, a stretch of 128 columns at a time, stay in the first-level cache and meet all inputs.
#include "math/kernel/avx2/plain.h"
#include "math/kernel/avx2/turn.h"

namespace varve {
namespace {

constexpr size_t kDepth = kPlainDepth, kRows = 2, kWeights = 8 * kRows;  // registers of weight rows

struct Inputs {  // of 16 rows
  float x[kDepth][16];
};
static_assert(sizeof(Inputs) == sizeof(WideInputs));

void pack_plain(const float* x, size_t stride, size_t rows, size_t n, WideInputs* out, size_t apart) {
  for (size_t at = 0; at < n; at += kDepth, out += apart) {
    auto& to = *reinterpret_cast<Inputs*>(out->bytes);
    for (size_t k = 0; k < kDepth; k += 8) {
      const size_t left = n > at + k ? n - at - k : 0;
      for (size_t half = 0; half < 16; half += 8) {
        __m256i v[8];
        for (size_t i = 0; i < 8; ++i)
          v[i] = half + i < rows && left > 0
                     ? _mm256_castps_si256(_mm256_maskload_ps(x + (half + i) * stride + at + k, up_to(left)))
                     : _mm256_setzero_si256();
        turn(v);
        for (size_t i = 0; i < 8; ++i) store(reinterpret_cast<uint8_t*>(to.x[k + i] + half), v[i]);
      }
    }
  }
}

struct alignas(32) Turned {
  float w[kDepth][kRows][8];
};

// What is read: 8 values of a row from `at` on, and 0 beyond n.
template <class Number>
struct Of {
  static __m256 load(const uint8_t* row, size_t at, size_t n) {
    return n - at >= 8 ? Number::load(row + Number::bytes * at)
                       : load_part<Number>(row + Number::bytes * at, n - at);
  }
};
struct OfRf8 {
  static __m256 load(const uint8_t* row, size_t at, size_t) {
    const uint8_t* from = row + at / 128 * sizeof(BlockRf8);
    return _mm256_mul_ps(unit_of(from), sized(from + 1 + at % 128));
  }
};

template <class From>
void fill(const uint8_t* from, const WeightRows& w, size_t rows, size_t at, Turned& out) {
  for (size_t part = 0; part < kRows; ++part) {
    // Row by row: the same place of many rows tends to be in one set of a cache.
    alignas(32) float ordered[8][kDepth];
    for (size_t i = 0; i < 8; ++i, from += w.row_bytes) {
      const size_t n = 8 * part + i < rows ? w.n : 0;
      for (size_t k = 0; k < kDepth; k += 8)
        _mm256_store_ps(ordered[i] + k, at + k < n ? From::load(from, at + k, n) : _mm256_setzero_ps());
    }
    for (size_t k = 0; k < kDepth; k += 8) {
      __m256i v[8];
      for (size_t i = 0; i < 8; ++i) v[i] = load256(reinterpret_cast<const uint8_t*>(ordered[i] + k));
      turn(v);
      for (size_t i = 0; i < 8; ++i) store(reinterpret_cast<uint8_t*>(out.w[k + i][part]), v[i]);
    }
  }
}

template <size_t X>
void add_rows(const Turned& w, const float* x, __m256 (*sums)[kRows]) {
  __m256 sum[X][kRows];
  for (size_t j = 0; j < X; ++j) {
    for (size_t r = 0; r < kRows; ++r) sum[j][r] = sums[j][r];
  }
  for (size_t k = 0; k < kDepth; ++k, x += 16) {
    __m256 from_w[kRows];
    for (size_t r = 0; r < kRows; ++r) from_w[r] = _mm256_load_ps(w.w[k][r]);
    for (size_t j = 0; j < X; ++j) {
      const __m256 from_x = _mm256_broadcast_ss(x + j);
      for (size_t r = 0; r < kRows; ++r) sum[j][r] = _mm256_fmadd_ps(from_w[r], from_x, sum[j][r]);
    }
  }
  for (size_t j = 0; j < X; ++j) {
    for (size_t r = 0; r < kRows; ++r) sums[j][r] = sum[j][r];
  }
}

// 16 input rows, or as many as there are: twelve sums at once hide their latency, and there is room for more
// than two registers beside them.
void add_sixteen(const Turned& w, const float* x, size_t rows, __m256 (*sums)[kRows]) {
  add_rows<6>(w, x, sums);
  if (rows > 6) add_rows<6>(w, x + 6, sums + 6);
  if (rows > 12) add_rows<4>(w, x + 12, sums + 12);
}

template <class From>
void multiply_wide(const WeightRows& w, const WideInputs* inputs, size_t x_rows, float* y, size_t stride,
                   bool add) {
  Turned turned;
  __m256 sums[kWideRows][kRows];
  const size_t sixteens = (x_rows + 15) / 16;
  for (size_t row = 0; row < w.rows; row += kWeights) {
    const size_t rows = w.rows - row < kWeights ? w.rows - row : kWeights;
    const auto* from = static_cast<const uint8_t*>(w.bytes) + row * w.row_bytes;
    const WideInputs* x = inputs;
    for (size_t j = 0; j < 16 * sixteens; ++j) {
      for (size_t r = 0; r < kRows; ++r) sums[j][r] = _mm256_setzero_ps();
    }
    for (size_t at = 0; at < w.n; at += kDepth, x += sixteens) {
      fill<From>(from, w, rows, at, turned);
      for (size_t i = 0; i < sixteens; ++i)
        add_sixteen(turned, reinterpret_cast<const Inputs*>(x[i].bytes)->x[0], x_rows - 16 * i,
                    sums + 16 * i);
    }
    for (size_t j = 0; j < x_rows; ++j) {
      for (size_t r = 0; 8 * r < rows; ++r) {
        const __m256i mask = up_to(rows - 8 * r);
        float* to = y + j * stride + row + 8 * r;
        const __m256 before = add ? _mm256_maskload_ps(to, mask) : _mm256_setzero_ps();
        _mm256_maskstore_ps(to, mask, _mm256_add_ps(before, sums[j][r]));
      }
    }
  }
}

}  // namespace

void plain_wide_avx2(SideKernels& table) {
  table.pack_plain = pack_plain;
  table.multiply_plain[size_t(Plain::f32)] = multiply_wide<Of<PlainF32>>;
  table.multiply_plain[size_t(Plain::f16)] = multiply_wide<Of<PlainF16>>;
  table.multiply_plain[size_t(Plain::bf16)] = multiply_wide<Of<PlainBf16>>;
  table.multiply_plain[size_t(Plain::rf8)] = multiply_wide<OfRf8>;
}

}  // namespace varve
