// Products by table lookup: the same bits on every ISA, and near those of doubles.
#include "math/kernel/planes.h"

#include "math/kernel/half.h"
#include "math/kernel/rig_test.h"

namespace varve {
namespace {

class PlanesPerIsa : public PerIsa {};

// Any bytes, with scales and least values that are numbers.
std::vector<unsigned char> with_ends(std::vector<unsigned char> bytes, size_t bits, float size) {
  for (size_t at = 0; at + 4 <= bytes.size(); at += plane_block_bytes(bits)) {
    const uint16_t ends[] = {f32_to_f16(size * float(1 + bytes[at] % 7)),
                             f32_to_f16(size * float(bytes[at + 1] % 9) - 4)};
    std::memcpy(bytes.data() + at, ends, sizeof(ends));
  }
  return bytes;
}

TEST_P(PlanesPerIsa, PlanesHaveTheSameBitsInAnyCompany) {
  for (size_t bits = 1; bits <= 8; ++bits) {
    for (const size_t n : {size_t(128), size_t(640)}) {
      const size_t rows = 37, row_bytes = n / kPlaneValues * plane_block_bytes(bits);
      const auto x = normal(n);
      const auto panels = quantized(x);
      for (const bool wild : {false, true}) {
        auto w = bytes(rows * row_bytes);
        if (!wild) w = with_ends(std::move(w), bits, 0.01f);
        std::vector<PlaneTables> tables(n / kPlaneValues), truth_tables(tables.size());
        plane_kernels(GetParam()).tables(panels.data(), table_->turned, n, tables.data());
        plane_kernels("generic").tables(panels.data(), table_->turned, n, truth_tables.data());
        ASSERT_EQ(std::memcmp(tables.data(), truth_tables.data(), offsetof(PlaneTables, sum) + 4), 0);
        std::vector<float> out(rows), truth(rows), alone(1);
        plane_kernels(GetParam()).multiply({w.data(), row_bytes, rows, n}, bits, tables.data(), out.data());
        plane_kernels("generic").multiply({w.data(), row_bytes, rows, n}, bits, tables.data(), truth.data());
        EXPECT_TRUE(same_bits(out, truth)) << bits << " bits of " << n;
        plane_kernels(GetParam())
            .multiply({w.data() + 20 * row_bytes, row_bytes, 1, n}, bits, tables.data(), alone.data());
        EXPECT_TRUE(same_bits(alone, {out[20]}));
      }
    }
  }
}

TEST_P(PlanesPerIsa, PlanesAgreeWithDoubles) {
  const size_t n = 384, blocks = n / kPlaneValues;
  for (size_t bits = 1; bits <= 8; ++bits) {
    const auto w = with_ends(bytes(blocks * plane_block_bytes(bits)), bits, 0.01f);
    const auto x = normal(n);
    std::vector<PlaneTables> tables(blocks);
    plane_kernels(GetParam()).tables(quantized(x).data(), table_->turned, n, tables.data());
    float out = 0;
    plane_kernels(GetParam()).multiply({w.data(), w.size(), 1, n}, bits, tables.data(), &out);
    double sum = 0, size = 0;
    for (size_t i = 0; i < n; ++i) {
      const unsigned char* block = w.data() + i / kPlaneValues * plane_block_bytes(bits);
      uint16_t ends[2];
      std::memcpy(ends, block, sizeof(ends));
      const size_t at = i % kPlaneValues;
      unsigned code = 0;
      for (size_t bit = 0; bit < bits; ++bit)
        code |= (block[4 + kPlaneBytes * bit + at / 8] >> at % 8 & 1u) << bit;
      const double value = double(f16_to_f32(ends[0])) * code + double(f16_to_f32(ends[1]));
      sum += value * double(x[i]), size += std::pow(value * double(x[i]), 2);
    }
    EXPECT_NEAR(double(out), sum, 0.03 * std::sqrt(size)) << bits;  // inputs of 8 bits
  }
}

INSTANTIATE_TEST_SUITE_P(Planes, PlanesPerIsa, testing::ValuesIn(kIsaNames),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace varve
