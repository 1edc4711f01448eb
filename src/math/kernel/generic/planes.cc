// Products of planes of bits, table by table; and the choice of who makes them.
#include "math/kernel/planes.h"

#include <cmath>
#include <cstring>

#include "math/kernel/half.h"

namespace varve {

void plane_tables_avx2(const InputPanel* x, bool turned, size_t values, PlaneTables* out);
void plane_products_avx2(const WeightRows& w, size_t bits, const PlaneTables* x, float* out);

namespace {

size_t place(bool turned, size_t i) {
  return turned ? i % 16 / 4 * 64 + i / 16 * 4 + i % 4 : i;
}

void tables(const InputPanel* x, bool turned, size_t values, PlaneTables* out) {
  for (size_t at = 0; at < values; at += kPlaneValues, ++out) {
    const InputPanel& panel = x[at / kPanel];
    const size_t first = at % kPanel;
    for (size_t t = 0; t < 32; ++t) {
      for (size_t i = 0; i < 16; ++i) {
        int sum = 0;
        for (size_t b = 0; b < 4; ++b)
          sum += (i >> b & 1) != 0 ? int(panel.q[place(turned, first + 4 * t + b)]) : 0;
        out->low[t][i] = uint8_t(sum), out->high[t][i] = uint8_t(sum >> 8);
      }
    }
    out->sum = 0;
    for (size_t i = 0; i < 8; ++i) out->sum += panel.sum[first / 16 + i];
    for (size_t i = 0; i < 4; ++i) out->scale[i] = panel.scale[first / 16 + 2 * i];
  }
}

float block_product(const uint8_t* block, size_t bits, const PlaneTables& x, float sum) {
  float part = 0;
  for (size_t quarter = 0; quarter < 4; ++quarter) {
    int codes = 0;
    for (size_t bit = 0; bit < bits; ++bit) {
      int plane = 0;
      for (size_t t = 8 * quarter; t < 8 * quarter + 8; ++t) {
        const unsigned i = block[4 + kPlaneBytes * bit + t / 2] >> t % 2 * 4 & 15;
        plane += int16_t(x.low[t][i] | x.high[t][i] << 8);
      }
      codes += plane * (1 << bit);
    }
    part = std::fma(x.scale[quarter], float(codes), part);
  }
  uint16_t ends[2];
  std::memcpy(ends, block, sizeof(ends));
  return std::fma(f16_to_f32(ends[1]), x.sum, std::fma(f16_to_f32(ends[0]), part, sum));
}

void multiply(const WeightRows& w, size_t bits, const PlaneTables* x, float* out) {
  for (size_t row = 0; row < w.rows; ++row) {
    const auto* block = static_cast<const uint8_t*>(w.bytes) + row * w.row_bytes;
    float sum = 0;
    for (size_t at = 0; at < w.n; at += kPlaneValues, block += plane_block_bytes(bits))
      sum = block_product(block, bits, x[at / kPlaneValues], sum);
    out[row] = sum;
  }
}

constexpr PlaneKernels kGeneric{tables, multiply}, kAvx2{plane_tables_avx2, plane_products_avx2};

}  // namespace

const PlaneKernels& plane_kernels(const char* isa) {
  return std::strcmp(isa, "generic") == 0 ? kGeneric : kAvx2;
}

}  // namespace varve
