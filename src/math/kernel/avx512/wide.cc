// Products of many rows in 8 bits: a lane is a weight row, so that a sum of 32 products is one integer and is
// scaled once. 32 weight rows are unpacked and turned a panel at a time and meet all inputs.
#include "math/kernel/avx512/pack.h"
#include "math/kernel/avx512/readers.h"

namespace varve {
namespace {

struct Inputs {  // 16 rows
  int8_t q[16][kPanel];
  float scale[16][8];               // of 32 values
  float sum[16][16], sum32[16][8];  // of their quants, scaled
};
static_assert(sizeof(Inputs) <= sizeof(WideInputs));

void pack_wide(const float* x, size_t stride, size_t rows, size_t n, WideInputs* out, size_t apart) {
  for (size_t at = 0; at < n; at += kPanel, out += apart) {
    auto& to = *reinterpret_cast<Inputs*>(out->bytes);
    for (size_t row = 0; row < rows; ++row) {
      InputPanel panel;
      quantize_avx512(x + row * stride + at, n - at < kPanel ? n - at : kPanel, &panel);
      __builtin_memcpy(to.q[row], panel.q, kPanel);
      __builtin_memcpy(to.sum[row], panel.sum, sizeof(panel.sum));
      for (size_t i = 0; i < 8; ++i) {
        to.scale[row][i] = panel.scale[2 * i];
        to.sum32[row][i] = panel.sum[2 * i] + panel.sum[2 * i + 1];
      }
    }
  }
}

constexpr size_t kRows = kWideWeights / 16;  // registers of weight rows
struct alignas(64) Turned {
  uint8_t q[kPanel / 4][kRows][64];  // four values of 16 rows
  float scale[16][kRows][16], min[16][kRows][16];
};

template <class Read>
void fill(const WeightRows& w, size_t at, Turned& out) {
  const auto* from = static_cast<const uint8_t*>(w.bytes) + at / kPanel * kPanelBytes<Read>;
  const size_t next =
      at + kPanel < w.n ? kPanelBytes<Read> : kPanelBytes<Read> + (kWideWeights - 1) * w.row_bytes;
  for (size_t part = 0; part < kRows; ++part) {
    WeightPanel panel[16];
    for (size_t i = 0; i < 16; ++i, from += w.row_bytes) {
      if (16 * part + i >= w.rows) {
        panel[i] = {};
        continue;
      }
      fetch<2>(from + next, kPanelBytes<Read>);
      Read::panel(from, w.n - at < kPanel ? w.n - at : kPanel, panel[i]);
    }
    __m512i v[16];
    for (size_t quarter = 0; quarter < 4; ++quarter) {
      for (size_t i = 0; i < 16; ++i) v[i] = _mm512_load_si512(panel[i].q + 64 * quarter);
      turn(v);
      for (size_t i = 0; i < 16; ++i) _mm512_store_si512(out.q[16 * quarter + i][part], v[i]);
    }
    for (size_t i = 0; i < 16; ++i) v[i] = _mm512_load_si512(panel[i].scale);
    turn(v);
    for (size_t i = 0; i < 16; ++i) _mm512_store_si512(out.scale[i][part], v[i]);
    for (size_t i = 0; i < 16; ++i) v[i] = _mm512_load_si512(panel[i].min);
    turn(v);
    for (size_t i = 0; i < 16; ++i) _mm512_store_si512(out.min[i][part], v[i]);
  }
}

struct Row {  // of the inputs
  const int8_t* q;
  const float *scale, *sum;
};

// X input rows, a panel. `step`: how many groups of 16 share their scales, 1 or 2.
template <size_t step, size_t X>
void add_rows(const Turned& w, const Row* x, __m512 (*sums)[kRows]) {
  __m512 sum[X][kRows];
  for (size_t j = 0; j < X; ++j) {
    for (size_t r = 0; r < kRows; ++r) sum[j][r] = sums[j][r];
  }
  for (size_t group = 0; group < 16; group += step) {
    __m512i dots[X][kRows];
    for (size_t j = 0; j < X; ++j) {
      for (size_t r = 0; r < kRows; ++r) dots[j][r] = _mm512_setzero_si512();
    }
    for (size_t four = 4 * group; four < 4 * (group + step); ++four) {
      for (size_t j = 0; j < X; ++j) {
        int some;
        __builtin_memcpy(&some, x[j].q + 4 * four, 4);
        for (size_t r = 0; r < kRows; ++r) {
          dots[j][r] =
              _mm512_dpbusd_epi32(dots[j][r], _mm512_load_si512(w.q[four][r]), _mm512_set1_epi32(some));
        }
      }
    }
    for (size_t j = 0; j < X; ++j) {
      const __m512 scale = _mm512_set1_ps(x[j].scale[group / 2]),
                   total = _mm512_set1_ps(x[j].sum[group / step]);
      for (size_t r = 0; r < kRows; ++r) {
        const __m512 both = _mm512_mul_ps(scale, _mm512_load_ps(w.scale[group][r]));
        sum[j][r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[j][r]), both, sum[j][r]);
        sum[j][r] = _mm512_fnmadd_ps(_mm512_load_ps(w.min[group][r]), total, sum[j][r]);
      }
    }
  }
  for (size_t j = 0; j < X; ++j) {
    for (size_t r = 0; r < kRows; ++r) sums[j][r] = sum[j][r];
  }
}

template <size_t step>
void add_panel(const Turned& w, const WideInputs* x, size_t x_rows, __m512 (*sums)[kRows]) {
  constexpr size_t kAtOnce = 4;
  for (size_t at = 0; at < x_rows; at += kAtOnce) {
    const auto& from = *reinterpret_cast<const Inputs*>(x[at / 16].bytes);
    Row rows[kAtOnce];
    for (size_t j = 0; j < kAtOnce; ++j) {
      const size_t row = at % 16 + j;
      rows[j] = {from.q[row], from.scale[row], step == 2 ? from.sum32[row] : from.sum[row]};
    }
    if (x_rows - at >= kAtOnce) {
      add_rows<step, kAtOnce>(w, rows, sums + at);
    } else {
      for (size_t j = 0; j < x_rows - at; ++j) add_rows<step, 1>(w, rows + j, sums + at + j);
    }
  }
}

template <class Read>
void multiply_wide(const WeightRows& w, const WideInputs* x, size_t x_rows, float* y, size_t stride,
                   bool add) {
  constexpr Format format = Read::format;
  constexpr bool fine = format == Format::q2_k || format == Format::q3_k || format == Format::q6_k;
  Turned turned;
  __m512 sums[kWideRows][kRows];
  for (size_t j = 0; j < x_rows; ++j) {
    for (size_t r = 0; r < kRows; ++r) sums[j][r] = _mm512_setzero_ps();
  }
  for (size_t at = 0; at < w.n; at += kPanel, x += (x_rows + 15) / 16) {
    fill<Read>(w, at, turned);
    add_panel<fine ? 1 : 2>(turned, x, x_rows, sums);
  }
  for (size_t j = 0; j < x_rows; ++j, y += stride) {
    for (size_t r = 0; 16 * r < w.rows; ++r) {
      const __mmask16 mask = up_to(w.rows - 16 * r);
      const __m512 before = add ? _mm512_maskz_loadu_ps(mask, y + 16 * r) : _mm512_setzero_ps();
      _mm512_mask_storeu_ps(y + 16 * r, mask, _mm512_add_ps(before, sums[j][r]));
    }
  }
}

template <class Read>
void add(Kernels& table) {
  table.multiply_wide[size_t(Read::format)] = multiply_wide<Read>;
}

}  // namespace

void expanded_wide_avx512(SideKernels& table) {
  table.multiply_expanded = multiply_wide<OfExpanded>;
}
void override_avx512_wide(Kernels& table) {
  table.pack_wide = pack_wide;
  each_reader([&](auto read) { add<decltype(read)>(table); });
}

}  // namespace varve
