// Products of many rows in 8 bits: a lane is a weight row, so that a sum of 32 products is one integer and is
// scaled once. 8 weight rows are unpacked and turned a panel at a time and meet all inputs.
#include "math/kernel/avx2/readers.h"
#include "math/kernel/avx2/turn.h"

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
      quantize_avx2(x + row * stride + at, n - at < kPanel ? n - at : kPanel, &panel);
      __builtin_memcpy(to.q[row], panel.q, kPanel);
      __builtin_memcpy(to.sum[row], panel.sum, sizeof(panel.sum));
      for (size_t i = 0; i < 8; ++i) {
        to.scale[row][i] = panel.scale[2 * i];
        to.sum32[row][i] = panel.sum[2 * i] + panel.sum[2 * i + 1];
      }
    }
  }
}

constexpr size_t kRows = 8;  // weight rows at a time
struct alignas(32) Turned {
  uint8_t q[kPanel / 4][32];  // four values of 8 rows; signed where the offset is 128
  float scale[16][kRows], min[16][kRows];
};

template <class Of>  // Of(i): what row i begins with
void turn_into(const Of& of, void* out) {
  __m256i v[8];
  for (size_t i = 0; i < 8; ++i) v[i] = load256(reinterpret_cast<const uint8_t*>(of(i)));
  turn(v);
  for (size_t i = 0; i < 8; ++i) store(static_cast<uint8_t*>(out) + 32 * i, v[i]);
}

template <class Read>
void fill(const uint8_t* from, const WeightRows& w, size_t rows, size_t values, Turned& out) {
  WeightPanel panel[kRows];
  for (size_t i = 0; i < kRows; ++i, from += w.row_bytes) {
    if (i >= rows) {
      panel[i] = {};
      continue;
    }
    fetch<2>(from + kPanelBytes<Read>, kPanelBytes<Read>);
    Read::panel(from, values, panel[i]);
  }
  for (size_t at = 0; at < 8; ++at) turn_into([&](size_t i) { return panel[i].q + 32 * at; }, out.q[8 * at]);
  for (size_t at = 0; at < 2; ++at) {
    turn_into([&](size_t i) { return panel[i].scale + 8 * at; }, out.scale[8 * at]);
    turn_into([&](size_t i) { return panel[i].min + 8 * at; }, out.min[8 * at]);
  }
  for (size_t i = 0; kSigned<Read> && i < kPanel / 4; ++i) {
    store(out.q[i], _mm256_xor_si256(load256(out.q[i]), all(-128)));
  }
  for (size_t i = 0; kSigned<Read> && kMins<Read> && i < 16; ++i) {
    const __m256 moved = _mm256_mul_ps(_mm256_load_ps(out.scale[i]), _mm256_set1_ps(128));
    _mm256_store_ps(out.min[i], _mm256_sub_ps(_mm256_load_ps(out.min[i]), moved));
  }
}

// Products of 8 bits are added in twos, in 16 bits; of small quants there is room for several of them.
template <class Read>
constexpr size_t room() {
  switch (Read::format) {
    case Format::q8_0:
    case Format::iq4_nl:
    case Format::iq4_xs:
    case Format::count: return 1;  // 128 x 127 x 2
    case Format::q6_k: return 2;   // 63 x 127 x 2 x 2
    case Format::q5_0:
    case Format::q5_1:
    case Format::q5_k: return 4;
    default: return 8;
  }
}
template <class Read>
constexpr size_t kStep =  // how many groups of 16 share their scales, where it matters
    Read::format == Format::q2_k || Read::format == Format::q3_k || Read::format == Format::q6_k ? 1 : 2;

struct Row {  // of the inputs
  const int8_t* q;
  const float *scale, *sum;
};

template <class Read, size_t X>
void add_rows(const Turned& w, const Row* x, __m256* sums) {
  constexpr size_t step = kStep<Read>, at_once = room<Read>() < 4 * step ? room<Read>() : 4 * step;
  for (size_t group = 0; group < 16; group += step) {
    __m256i dots[X];
    for (size_t j = 0; j < X; ++j) dots[j] = _mm256_setzero_si256();
    for (size_t four = 4 * group; four < 4 * (group + step); four += at_once) {
      for (size_t j = 0; j < X; ++j) {
        __m256i small = _mm256_setzero_si256();
        for (size_t i = four; i < four + at_once; ++i) {
          int some;
          __builtin_memcpy(&some, x[j].q + 4 * i, 4);
          small = _mm256_add_epi16(small, products<Read>(load256(w.q[i]), _mm256_set1_epi32(some)));
        }
        dots[j] = _mm256_add_epi32(dots[j], _mm256_madd_epi16(small, _mm256_set1_epi16(1)));
      }
    }
    for (size_t j = 0; j < X; ++j) {
      const __m256 both =
          _mm256_mul_ps(_mm256_set1_ps(x[j].scale[group / 2]), _mm256_load_ps(w.scale[group]));
      sums[j] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[j]), both, sums[j]);
      if constexpr (!kMins<Read>) continue;
      sums[j] =
          _mm256_fnmadd_ps(_mm256_load_ps(w.min[group]), _mm256_set1_ps(x[j].sum[group / step]), sums[j]);
    }
  }
}

template <class Read>
void add_panel(const Turned& w, const WideInputs* x, size_t x_rows, __m256* sums) {
  constexpr size_t kAtOnce = 4;
  for (size_t at = 0; at < x_rows; at += kAtOnce) {
    const auto& from = *reinterpret_cast<const Inputs*>(x[at / 16].bytes);
    Row rows[kAtOnce];
    for (size_t j = 0; j < kAtOnce; ++j) {
      const size_t row = at % 16 + j;
      rows[j] = {from.q[row], from.scale[row], kStep<Read> == 2 ? from.sum32[row] : from.sum[row]};
    }
    if (x_rows - at >= kAtOnce) {
      add_rows<Read, kAtOnce>(w, rows, sums + at);
    } else {
      for (size_t j = 0; j < x_rows - at; ++j) add_rows<Read, 1>(w, rows + j, sums + at + j);
    }
  }
}

template <class Read>
void multiply_wide(const WeightRows& w, const WideInputs* inputs, size_t x_rows, float* y, size_t stride,
                   bool add) {
  Turned turned;
  __m256 sums[kWideRows];
  for (size_t row = 0; row < w.rows; row += kRows) {
    const size_t rows = w.rows - row < kRows ? w.rows - row : kRows;
    const auto* from = static_cast<const uint8_t*>(w.bytes) + row * w.row_bytes;
    const WideInputs* x = inputs;
    for (size_t j = 0; j < x_rows; ++j) sums[j] = _mm256_setzero_ps();
    for (size_t at = 0; at < w.n; at += kPanel, x += (x_rows + 15) / 16, from += kPanelBytes<Read>) {
      fill<Read>(from, w, rows, w.n - at < kPanel ? w.n - at : kPanel, turned);
      add_panel<Read>(turned, x, x_rows, sums);
    }
    const __m256i mask = up_to(rows);
    for (size_t j = 0; j < x_rows; ++j) {
      float* to = y + j * stride + row;
      const __m256 before = add ? _mm256_maskload_ps(to, mask) : _mm256_setzero_ps();
      _mm256_maskstore_ps(to, mask, _mm256_add_ps(before, sums[j]));
    }
  }
}

template <class Read>
void add(Kernels& table) {
  table.multiply_wide[size_t(Read::format)] = multiply_wide<Read>;
}

}  // namespace

void expanded_wide_avx2(SideKernels& table) {
  table.multiply_expanded = multiply_wide<OfExpanded>;
}
void override_avx2_wide(Kernels& table) {
  table.pack_wide = pack_wide;
  each_reader([&](auto read) { add<decltype(read)>(table); });
}

}  // namespace varve
