#include "learn/compress/method/inverse.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace varve {
namespace {

TEST(InverseFactor, its_product_is_the_inverse) {
  constexpr size_t kN = 300;  // more than one strip
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(400 * kN), gram(kN * kN);
  for (float& value : x) value = normal(random);
  for (size_t i = 0; i < kN; ++i)
    for (size_t j = 0; j < kN; ++j)
      for (size_t row = 0; row < 400; ++row) gram[i * kN + j] += x[row * kN + i] * x[row * kN + j] / 400;
  ThreadPool threads(2);
  Ops ops(threads);
  Ledger ledger(1 << 26);
  const float damp = 0.1f;
  const Buffer factor = std::move(inverse_factor(gram, kN, damp, ops, ledger)).value();
  const auto* u = reinterpret_cast<const float*>(factor.bytes().data());
  double mean = 0;
  for (size_t i = 0; i < kN; ++i) mean += double(gram[i * kN + i]) / kN;
  for (size_t i = 0; i < kN; ++i) gram[i * kN + i] += damp * float(mean);
  // gram * (U^T U) is one on the diagonal and zero beside it; some rows are enough.
  for (size_t i = 0; i < kN; i += 37) {
    std::vector<double> left(kN), back(kN);
    for (size_t k = 0; k < kN; ++k)
      for (size_t j = 0; j < kN; ++j) left[k] += double(gram[i * kN + j]) * double(u[k * kN + j]);
    for (size_t j = 0; j < kN; ++j)
      for (size_t k = 0; k < kN; ++k) back[j] += left[k] * double(u[k * kN + j]);
    for (size_t j = 0; j < kN; ++j) EXPECT_NEAR(back[j], i == j ? 1 : 0, 2e-3) << i << " " << j;
  }
}

TEST(InverseFactor, refuses_what_is_not_finite) {
  ThreadPool threads(1);
  Ops ops(threads);
  Ledger ledger(1 << 20);
  const std::vector<float> gram{1, 0, 0, NAN};
  EXPECT_EQ(inverse_factor(gram, 2, 0.01f, ops, ledger).code(), Code::invalid);
}

}  // namespace
}  // namespace varve
