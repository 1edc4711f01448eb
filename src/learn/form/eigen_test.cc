#include "learn/form/eigen.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/base/rng.h"

namespace varve::form {
namespace {

TEST(Eigen, VectorsAreOrthonormalAndGiveTheMatrixBack) {
  for (size_t n : {1, 2, 3, 7, 40}) {
    std::vector<double> matrix(n * n), values(n);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j <= i; ++j) {
        const double value = n == 7 ? double(i == j ? 2 : 0) : random_normal({1, n, Site::test}, i * n + j);
        matrix[i * n + j] = matrix[j * n + i] = value;
      }
    }
    std::vector<double> vectors = matrix;
    eigen(vectors, values);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_TRUE(i == 0 || values[i - 1] >= values[i]);
      for (size_t j = 0; j < n; ++j) {
        double dot = 0, back = 0;
        for (size_t k = 0; k < n; ++k) {
          dot += vectors[i * n + k] * vectors[j * n + k];
          back += values[k] * vectors[k * n + i] * vectors[k * n + j];
        }
        EXPECT_NEAR(dot, i == j ? 1 : 0, 1e-12) << n;
        EXPECT_NEAR(back, matrix[i * n + j], 1e-11) << n;
      }
    }
  }
}

}  // namespace
}  // namespace varve::form
