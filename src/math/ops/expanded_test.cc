// Weights whose products are made another way than their bytes stand: expanded a few rows at a time, bit
// planes by table lookup.
#include <cmath>

#include "math/codec/codebook.h"
#include "math/codec/expansion.h"
#include "math/codec/planes.h"
#include "math/ops/rig_test.h"

namespace varve {
namespace {

double error_of(const std::vector<float>& made, const std::vector<float>& truth) {
  double error = 0, size = 0;
  for (size_t i = 0; i < truth.size(); ++i)
    error += std::pow(double(truth[i] - made[i]), 2), size += std::pow(double(truth[i]), 2);
  return std::sqrt(error / size);
}

// Against f32 activations and decoded weights, whose error is that of 8 bits; and a row alone.
void check_products(const Matrix& w, const std::string& name) {
  const int32_t n = 5;
  const auto x = normal(size_t(n) * size_t(w.cols), 5);
  for (const bool reading : {false, true}) {
    Rig exact(2), fast(2, Ops::Precision::fast), alone(1, Ops::Precision::fast);
    const Rows one = exact.empty(n, w.rows), other = fast.empty(n, w.rows), last = alone.empty(1, w.rows);
    fast.ops.reading(reading), alone.ops.reading(reading);
    exact.ops.matmul(exact.rows(x, w.cols), w, one);
    fast.ops.matmul(fast.rows(x, w.cols), w, other);
    alone.ops.matmul(alone.rows({x.end() - w.cols, x.end()}, w.cols), w, last);
    const auto truth = exact.floats(one), made = fast.floats(other), single = alone.floats(last);
    EXPECT_TRUE(std::equal(single.begin(), single.end(), made.end() - w.rows)) << name;
    EXPECT_LT(error_of(made, truth), 0.02) << name;
    EXPECT_NE(made, truth) << name;
    fast.ops.matmul(fast.rows(x, w.cols), w, other, true);
    const auto twice = fast.floats(other);  // columns beyond the first block of a text come apart
    for (size_t i = 0; i < made.size(); ++i) EXPECT_NEAR(twice[i], 2 * made[i], 1e-4) << name;
  }
}

TEST(Expanded, products_are_near_the_exact_ones_and_a_row_is_the_same_in_any_company) {
  for (const char* name : {"bitmod3", "bitmod4", "slim2", "dgq4", "s4_0", "q1_0"}) {
    ASSERT_TRUE(expansion_of(*codec_named(name).value())) << name;
    const auto block = int32_t(codec_named(name).value()->block_values());
    for (const auto& [rows, blocks] : {std::pair{9, 1}, {131, 3}, {37, 4096 / block + 2}})
      check_products(Encoded(name, rows, blocks * block, 3).matrix, name);
  }
}

TEST(Expanded, levels_that_were_learnt_are_multiplied_in_8_bits) {
  for (size_t bits = 2; bits <= 4; ++bits) {
    std::vector<float> sets;
    for (size_t i = 0; i < size_t(4) << bits; ++i)
      sets.push_back(std::nearbyint(127 * std::sin(float(i * i))) / 128);
    const auto codec = Codebook::make(bits, sets).value();
    const auto values = normal(131 * 768, 3);
    std::vector<std::byte> bytes(size_t(codec->bytes_for(int64_t(values.size()))));
    codec->encode(values, bytes);
    check_products({codec.get(), bytes, 131, 768}, std::string(codec->name()));
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
    EXPECT_LT(error_of(made, truth), 0.02) << name;
    EXPECT_NE(made, truth) << name;
    fast.ops.matmul(fast.rows(x, cols), w.matrix, other, true);
    for (size_t i = 0; i < made.size(); ++i) EXPECT_EQ(fast.floats(other)[i], made[i] + made[i]);
  }
}

}  // namespace
}  // namespace varve
