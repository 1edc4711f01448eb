// Rows element by element, forwards and backwards, against the oracle.
#include "math/kernel/rig_test.h"

namespace varve {
namespace {

class RowsPerIsa : public PerIsa {};

TEST_P(RowsPerIsa, SumsAndNorms) {
  for (size_t n = 0; n < 200; ++n) {
    const auto x = normal(n), weight = normal(n), bias = normal(n);
    double size = 1e-30;
    for (float value : x) size += std::abs(double(value));
    EXPECT_NEAR(table_->sum(x.data(), n), oracle_.sum(x.data(), n), 1e-14 * size);
    const double squares = oracle_.squares(x.data(), 0.25f, n);
    EXPECT_NEAR(table_->squares(x.data(), 0.25f, n), squares, 1e-14 * squares);
    for (int vectors = 0; vectors < 3; ++vectors) {
      std::vector<float> got(n + 1, 7.f), expected(n + 1, 7.f);
      const float* first = vectors > 0 ? weight.data() : nullptr;
      const float* second = vectors > 1 ? bias.data() : nullptr;
      table_->normalize(x.data(), 0.25f, 1.5f, first, second, n, got.data());
      oracle_.normalize(x.data(), 0.25f, 1.5f, first, second, n, expected.data());
      EXPECT_TRUE(same_bits(got, expected));
    }
    auto got = x, expected = x;
    table_->scale(got.data(), 1.5f, n);
    oracle_.scale(expected.data(), 1.5f, n);
    EXPECT_TRUE(same_bits(got, expected));
    EXPECT_EQ(table_->max(x.data(), n), oracle_.max(x.data(), n));
  }
}

double ulps(float got, double expected) {
  const float nearest = float(expected);
  return std::abs(double(got) - expected) /
         double(std::nextafter(std::abs(nearest), kInfinity) - std::abs(nearest));
}

TEST_P(RowsPerIsa, ExponentialsAreWithinTwoUlp) {
  std::vector<float> x;
  for (float value = -87; value < 88; value += 0.00937f) x.push_back(value);
  auto got = x;
  table_->exp_sum(got.data(), 0, got.size());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_LT(ulps(got[i], std::exp(double(x[i]))), 2) << x[i];
  for (size_t n = 0; n < 100; ++n) {
    auto values = normal(n + 1);
    values[n] = 7;
    const float sum = table_->exp_sum(values.data(), 0.5f, n);
    EXPECT_EQ(values[n], 7);
    double expected = 0;
    for (size_t i = 0; i < n; ++i) expected += double(values[i]);
    EXPECT_NEAR(double(sum), expected, 1e-7 * expected);
  }
  std::vector<float> odd = {-104.5f, -1e30f, -kInfinity, 0, 89, kInfinity, std::nanf(""), -100};
  table_->exp_sum(odd.data(), 0, odd.size());
  for (size_t i : {0, 1, 2}) EXPECT_EQ(odd[i], 0);
  EXPECT_EQ(odd[3], 1);
  EXPECT_EQ(odd[4], kInfinity);
  EXPECT_EQ(odd[5], kInfinity);
  EXPECT_TRUE(std::isnan(odd[6]));
  EXPECT_NEAR(double(odd[7]), std::exp(-100.), 2e-45);  // a subnormal
}

TEST_P(RowsPerIsa, ActivationsAgreeWithTheOracleAtEveryLength) {
  for (size_t kind = 0; kind < kActivations; ++kind) {
    for (size_t n = 0; n < 100; ++n) {
      const auto x = normal(n, 3), times = normal(n);
      auto got = x, expected = x, product = x;
      table_->activate[kind](got.data(), nullptr, n);
      oracle_.activate[kind](expected.data(), nullptr, n);
      table_->activate[kind](product.data(), times.data(), n);
      for (size_t i = 0; i < n; ++i) {
        EXPECT_NEAR(double(got[i]), double(expected[i]), 2e-6 * std::abs(double(expected[i])) + 1e-12)
            << x[i];
        EXPECT_EQ(product[i], got[i] * times[i]);
      }
    }
  }
  const auto x = normal(1000, 40);
  auto got = x;
  table_->soft_cap(got.data(), 30, got.size());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_LT(ulps(got[i], 30 * std::tanh(double(x[i]) / 30)), 5) << x[i];
}

// Where tile numbers lie is the ISA's own business with itself: the same bits as the oracle's all the same,
// so that what one packed another multiplies.

TEST_P(RowsPerIsa, RowsBackwardHaveTheBitsOfTheOracle) {
  for (size_t n = 0; n < 80; ++n) {
    const auto x = normal(n + 1), weight = normal(n + 1), d = normal(n + 1);
    for (int vectors = 0; vectors < 3; ++vectors) {
      auto got = x, expected = x, got_w = weight, expected_w = weight;
      const float* w = vectors > 0 ? weight.data() : nullptr;
      table_->normalize_back(x.data(), w, d.data(), 0.7f, 0.3f, n, got.data(),
                             vectors > 1 ? got_w.data() : nullptr);
      oracle_.normalize_back(x.data(), w, d.data(), 0.7f, 0.3f, n, expected.data(),
                             vectors > 1 ? expected_w.data() : nullptr);
      EXPECT_TRUE(same_bits(got, expected) && same_bits(got_w, expected_w)) << n;
    }
    const AdamStep step{0.1f, 0.9f, 0.99f, 1e-8f, 0.01f, 2, 3};
    auto w = x, m = weight, v = d, w2 = x, m2 = weight;
    for (float& value : v) value *= value;
    auto v2 = v;
    table_->adam(step, d.data(), n, w.data(), m.data(), v.data());
    oracle_.adam(step, d.data(), n, w2.data(), m2.data(), v2.data());
    EXPECT_TRUE(same_bits(w, w2) && same_bits(m, m2) && same_bits(v, v2)) << n;
    EXPECT_NEAR(table_->dot(x.data(), d.data(), nullptr, n), oracle_.dot(x.data(), d.data(), nullptr, n),
                1e-4);
    EXPECT_NEAR(table_->dot(x.data(), d.data(), weight.data(), n),
                oracle_.dot(x.data(), d.data(), weight.data(), n), 1e-4);
  }
}

TEST_P(RowsPerIsa, BlocksOfAttentionAreSoftenedAsByTheOracle) {
  constexpr size_t kStride = 64;
  for (const auto& [rows, cols] : {std::pair<size_t, size_t>{1, 1}, {17, 30}, {64, 64}}) {
    std::vector<int32_t> first(rows), end(rows);
    for (size_t i = 0; i < rows; ++i) {  // none, one, some, all
      first[i] = i % 4 == 0 ? 0 : int32_t(i % cols), end[i] = i % 4 == 1 ? first[i] : int32_t(cols);
    }
    auto scores = normal(rows * kStride, 3), expected = scores;
    auto largest = normal(rows), sum = normal(rows), shrink = sum;
    for (size_t i = 0; i < rows; ++i) {
      sum[i] = i % 3 == 0 ? 0 : std::abs(sum[i]);
      if (sum[i] == 0) largest[i] = -INFINITY;
    }
    auto largest2 = largest, sum2 = sum, shrink2 = shrink;
    const SeenRange seen{first.data(), end.data()};
    table_->soften(scores.data(), kStride, rows, cols, seen, 0.4f,
                   {largest.data(), sum.data(), shrink.data()});
    oracle_.soften(expected.data(), kStride, rows, cols, seen, 0.4f,
                   {largest2.data(), sum2.data(), shrink2.data()});
    EXPECT_TRUE(same_bits(largest, largest2));
    auto p = normal(rows * kStride, 3), d = normal(rows * kStride), p2 = p, d2 = d;
    table_->soften_back(p.data(), d.data(), kStride, rows, cols, seen, 0.4f, {largest.data(), sum.data()});
    oracle_.soften_back(p2.data(), d2.data(), kStride, rows, cols, seen, 0.4f, {largest.data(), sum.data()});
    for (size_t i = 0; i < rows; ++i) {
      EXPECT_NEAR(sum[i], sum2[i], 1e-5 * double(sum2[i]));
      EXPECT_NEAR(shrink[i], shrink2[i], 1e-6);
      for (size_t at = i * kStride; at < i * kStride + cols; ++at) {
        EXPECT_NEAR(scores[at], expected[at], 1e-6);
        EXPECT_NEAR(p[at], p2[at], 2e-6 * (1e-3 + double(p2[at])));
        EXPECT_NEAR(d[at], d2[at], 4e-6 * (1e-3 + std::abs(double(d2[at]))));
      }
    }
  }
}

TEST_P(RowsPerIsa, SlopesOfActivationsAreTheirDifferences) {
  for (size_t kind = 0; kind < kActivations; ++kind) {
    for (size_t n : {1, 16, 37}) {
      const auto x = normal(n, 2), times = normal(n), d = normal(n);
      auto slope = x, other = times, alone = x;
      table_->activate_back[kind](slope.data(), other.data(), d.data(), n);
      table_->activate_back[kind](alone.data(), nullptr, d.data(), n);
      for (size_t i = 0; i < n; ++i) {
        float at = x[i], above = x[i] + 1e-3f, below = x[i] - 1e-3f;
        const double width = double(above) - double(below);
        for (float* value : {&at, &above, &below}) oracle_.activate[kind](value, nullptr, 1);
        const double difference = (double(above) - double(below)) / width;
        if (std::abs(x[i]) < 2e-3f) continue;  // relu's corner
        EXPECT_NEAR(double(alone[i]), difference * double(d[i]), 1e-3);
        EXPECT_NEAR(double(slope[i]), difference * double(d[i]) * double(times[i]), 2e-3);
        EXPECT_NEAR(double(other[i]), double(at) * double(d[i]), 1e-5);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, RowsPerIsa, testing::ValuesIn(kIsaNames),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace varve
