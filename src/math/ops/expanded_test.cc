// Weights whose products are made another way than their bytes stand: of dual grain as q8_0, bit planes by
// table lookup.
#include <cmath>

#include "math/codec/dgq4.h"
#include "math/codec/planes.h"
#include "math/ops/rig_test.h"

namespace varve {
namespace {

TEST(DualGrain, every_product_has_the_bits_of_q8_0) {
  for (const auto& [rows, cols] : {std::pair{9, 256}, {131, 768}, {37, 4096 + 512}}) {
    const Encoded dual("dgq4", rows, cols, 3);
    std::vector<std::byte> q8(size_t(rows) * size_t(cols) / 32 * sizeof(BlockQ8_0));
    expand_dual(dual.bytes.data(), size_t(rows) * size_t(cols), q8.data());
    const Matrix plain{codec_named("q8_0").value(), q8, rows, cols};
    for (const int32_t n : {1, 3, 70}) {
      const auto x = normal(size_t(n) * size_t(cols), 5);
      for (const auto precision : {Ops::Precision::exact, Ops::Precision::fast}) {
        for (const bool reading : {false, true}) {
          Rig rig(2, precision);
          rig.ops.reading(reading);
          const Rows in = rig.rows(x, cols), one = rig.empty(n, rows), other = rig.empty(n, rows);
          rig.ops.matmul(in, plain, one);
          rig.ops.matmul(in, dual.matrix, other);
          EXPECT_EQ(rig.floats(one), rig.floats(other)) << rows << " x " << cols << " of " << n;
        }
      }
    }
  }
}

TEST(BitPlanes, products_by_tables_are_near_the_exact_ones_and_a_row_is_the_same_in_any_company) {
  const int32_t rows = 131, cols = 896, n = 5;
  for (const char* name : {"bp1", "bp2", "bp3", "bp4", "bp7", "bp8"}) {
    const Encoded w(name, rows, cols, 3);
    const auto x = normal(size_t(n) * size_t(cols), 5);
    Rig exact(2), fast(2, Ops::Precision::fast), alone(1, Ops::Precision::fast);
    const Rows one = exact.empty(n, rows), other = fast.empty(n, rows), last = alone.empty(1, rows);
    exact.ops.matmul(exact.rows(x, cols), w.matrix, one);
    fast.ops.matmul(fast.rows(x, cols), w.matrix, other);
    alone.ops.matmul(alone.rows({x.end() - cols, x.end()}, cols), w.matrix, last);
    const auto truth = exact.floats(one), made = fast.floats(other), single = alone.floats(last);
    EXPECT_TRUE(std::equal(single.begin(), single.end(), made.end() - rows)) << name;
    double error = 0, size = 0;
    for (size_t i = 0; i < truth.size(); ++i)
      error += std::pow(double(truth[i] - made[i]), 2), size += std::pow(double(truth[i]), 2);
    EXPECT_LT(std::sqrt(error / size), 0.02) << name;
    EXPECT_GT(error, 0) << name;
    fast.ops.matmul(fast.rows(x, cols), w.matrix, other, true);
    for (size_t i = 0; i < made.size(); ++i) EXPECT_EQ(fast.floats(other)[i], made[i] + made[i]);
  }
}

}  // namespace
}  // namespace varve
