// Products against plain loops in double, and the law of Ops: a row's bits do not depend on its company.
#include "math/ops/rig_test.h"

namespace varve {
namespace {

struct Way {
  Ops::Precision precision;
  bool reading;
  double bound;
};
constexpr Way kWays[] = {{Ops::Precision::exact, false, 1e-11},
                         {Ops::Precision::exact, true, 1e-11},
                         {Ops::Precision::fast, false, 1e-4},
                         {Ops::Precision::fast, true, 1e-4}};

class MatmulOf : public testing::TestWithParam<std::string> {
 protected:
  int32_t cols(int32_t about) const {
    const auto block = int32_t((*codec_named(GetParam()))->block_values());
    return (about + block - 1) / block * block;
  }
};

TEST_P(MatmulOf, AgreesWithDoubles) {
  for (const auto& [rows, about, n] : {std::tuple{9, 1, 7}, {5, 100, 13}, {67, 800, 70}}) {
    const Encoded w(GetParam(), rows, cols(about), 1);
    const auto x = normal(size_t(n) * size_t(w.matrix.cols), 2);
    for (const Way& way : kWays) {
      Rig rig(2, way.precision);
      rig.ops.reading(way.reading);
      const Rows y = rig.empty(n, rows);
      rig.ops.matmul(rig.rows(x, w.matrix.cols), w.matrix, y);
      EXPECT_LT(nmse(rig.floats(y), product(x, w)), way.bound) << rows << " x " << w.matrix.cols;
    }
  }
}

TEST_P(MatmulOf, ARowHasTheSameBitsAloneInChunksAndOnAnyThread) {
  std::mt19937 random(7);
  for (int round = 0; round < 4; ++round) {
    const auto n = int32_t(random() % 90 + 2), rows = int32_t(random() % 40 + 1);
    const Encoded w(GetParam(), rows, cols(int32_t(random() % 1300 + 1)), uint32_t(random()));
    const auto x = normal(size_t(n) * size_t(w.matrix.cols), uint32_t(random()));
    for (const Way& way : kWays) {
      Rig one(1, way.precision), two(2, way.precision);
      one.ops.reading(way.reading), two.ops.reading(way.reading);
      const Rows xs = one.rows(x, w.matrix.cols), whole = one.empty(n, rows), cut = one.empty(n, rows);
      one.ops.matmul(xs, w.matrix, whole);
      for (int32_t at = 0; at < n;) {
        const int32_t some = std::min(n - at, int32_t(random() % 9 + 1));
        two.ops.matmul(xs.slice(at, some), w.matrix, cut.slice(at, some));
        at += some;
      }
      EXPECT_EQ(one.floats(whole), one.floats(cut));
    }
  }
}

TEST_P(MatmulOf, AddsWhenAsked) {
  Rig rig;
  const Encoded w(GetParam(), 9, cols(64), 4);
  const Rows x = rig.rows(normal(size_t(w.matrix.cols) * 2, 5), w.matrix.cols);
  const Rows y = rig.empty(2, 9), twice = rig.empty(2, 9);
  rig.ops.matmul(x, w.matrix, y);
  rig.ops.copy(y, twice);
  rig.ops.matmul(x, w.matrix, twice, true);
  const auto single = rig.floats(y), sum = rig.floats(twice);
  for (size_t i = 0; i < sum.size(); ++i) EXPECT_EQ(sum[i], single[i] + single[i]);
}

TEST_P(MatmulOf, BackwardReadsTheSameBytesTheOtherWay) {
  const int32_t n = 5, rows = 37;
  const Encoded w(GetParam(), rows, cols(700), 8);
  const auto d = normal(size_t(n) * rows, 9);
  std::vector<double> expected(size_t(n) * size_t(w.matrix.cols));
  for (size_t i = 0; i < size_t(n); ++i) {
    for (size_t o = 0; o < size_t(rows); ++o) {
      for (size_t k = 0; k < size_t(w.matrix.cols); ++k) {
        expected[i * size_t(w.matrix.cols) + k] +=
            double(d[i * rows + o]) * double(w.values[o * size_t(w.matrix.cols) + k]);
      }
    }
  }
  Rig one(1), two(2);
  const Rows all = one.rows(d, rows), dx = one.empty(n, w.matrix.cols), alone = one.empty(1, w.matrix.cols);
  one.ops.matmul_back(all, w.matrix, dx);
  EXPECT_LT(nmse(one.floats(dx), expected), 1e-11);
  two.ops.matmul_back(all.slice(3, 1), w.matrix, alone);
  EXPECT_EQ(one.floats(alone), one.floats(dx.slice(3, 1)));
  one.ops.matmul_back(all.slice(3, 1), w.matrix, alone, true);
  const auto single = one.floats(dx.slice(3, 1)), sum = one.floats(alone);
  for (size_t i = 0; i < sum.size(); ++i)
    EXPECT_NEAR(sum[i], 2 * single[i], 1e-5f * std::abs(single[i]) + 1e-5f);
}

INSTANTIATE_TEST_SUITE_P(All, MatmulOf, testing::ValuesIn(codecs().names()),
                         [](const auto& one) { return one.param; });

TEST(Matmul, ReadRowsBeyondABlockOfEitherSideAgree) {
  for (const char* codec : {"q8_0", "bf16", "q4_k"}) {
    const Encoded w(codec, 40, 2048 + 512, 1);
    const auto x = normal(size_t(260 * w.matrix.cols), 2);
    Rig rig(2, Ops::Precision::fast);
    rig.ops.reading(true);
    const Rows xs = rig.rows(x, w.matrix.cols), y = rig.empty(260, 40), last = rig.empty(2, 40);
    rig.ops.matmul(xs, w.matrix, y);
    EXPECT_LT(nmse(rig.floats(y), product(x, w)), 1e-4) << codec;
    rig.ops.matmul(xs.slice(255, 2), w.matrix, last);
    EXPECT_EQ(rig.floats(last), rig.floats(y.slice(255, 2))) << codec;
  }
}

// As accurate as 8 bits for every 32 activations, which is what others do, or better.
TEST(Matmul, ReadingIsNoLessAccurateThanWriting) {
  for (const char* codec : {"q8_0", "q4_0", "q4_k", "q6_k", "iq4_xs", "q2_k", "tq2_0"}) {
    const Encoded w(codec, 64, 1024, 1);
    const auto x = normal(8 * 1024, 2);
    double error[2];
    for (const bool reading : {false, true}) {
      Rig rig(1, Ops::Precision::fast);
      rig.ops.reading(reading);
      const Rows y = rig.empty(8, 64);
      rig.ops.matmul(rig.rows(x, 1024), w.matrix, y);
      error[reading] = nmse(rig.floats(y), product(x, w));
    }
    EXPECT_LE(error[1], error[0] * 1.01) << codec;
  }
}

TEST(Matmul, NotANumberStaysVisibleInFastPrecision) {
  Rig rig(1, Ops::Precision::fast);
  const Encoded w("q8_0", 4, 64, 1);
  auto x = normal(64, 2);
  x[40] = std::numeric_limits<float>::infinity();
  const Rows y = rig.empty(1, 4);
  rig.ops.matmul(rig.rows(x, 64), w.matrix, y);
  for (float value : rig.floats(y)) EXPECT_TRUE(std::isnan(value));
}

TEST(Matmul, ARowTooWideToStageIsExact) {
  const int32_t width = 32 * 22000;  // its panels are more than the pool has room for
  const Encoded w("q8_0", 1, width, 1);
  const auto x = normal(size_t(width), 2);
  Rig exact(1), fast(1, Ops::Precision::fast);
  const Rows a = exact.empty(1, 1), b = fast.empty(1, 1);
  exact.ops.matmul(exact.rows(x, width), w.matrix, a);
  fast.ops.matmul(fast.rows(x, width), w.matrix, b);
  EXPECT_EQ(exact.floats(a), fast.floats(b));
}

TEST(Matmul, WidthsThatNoVectorDivides) {
  for (int32_t width : {1, 15, 16, 17, 511, 512, 513, 1025}) {
    const Encoded w("f32", 3, width, 1);
    const auto x = normal(size_t(width), 2);
    Rig rig;
    const Rows y = rig.empty(1, 3);
    rig.ops.matmul(rig.rows(x, width), w.matrix, y);
    EXPECT_LT(nmse(rig.floats(y), product(x, w)), 1e-11) << width;
  }
}

}  // namespace
}  // namespace varve
