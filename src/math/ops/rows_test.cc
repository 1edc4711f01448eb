// The small operations, each against its formula in double.
#include <algorithm>
#include <cmath>

#include "math/ops/rig_test.h"

namespace varve {
namespace {

constexpr int32_t kWidth = 600;
constexpr int32_t kCount = 4;

TEST(Rows, RmsNormOverRowsAndGroups) {
  Rig rig(2);
  const auto x = normal(kCount * kWidth, 1);
  for (int32_t group : {0, 100}) {
    const int32_t size = group == 0 ? kWidth : group;
    const Encoded weight("f16", 1, size, 2);
    std::vector<double> expected(x.size());
    for (size_t at = 0; at < x.size(); at += size_t(size)) {
      double sum = 0;
      for (size_t i = 0; i < size_t(size); ++i) sum += double(x[at + i]) * double(x[at + i]);
      for (size_t i = 0; i < size_t(size); ++i) {
        expected[at + i] = double(x[at + i]) / std::sqrt(sum / size + 1e-5) * double(weight.values[i]);
      }
    }
    const Rows out = rig.empty(kCount, kWidth);
    rig.ops.rms_norm(rig.rows(x, kWidth), weight.matrix, 1e-5f, out, group);
    EXPECT_LT(nmse(rig.floats(out), expected), 1e-12);
  }
}

TEST(Rows, LayerNorm) {
  Rig rig;
  auto x = normal(kCount * kWidth, 1);
  for (float& value : x) value += 3;
  const Encoded weight("f32", 1, kWidth, 2), bias("f32", 1, kWidth, 3);
  std::vector<double> expected(x.size());
  for (size_t at = 0; at < x.size(); at += kWidth) {
    double mean = 0, square = 0;
    for (size_t i = 0; i < kWidth; ++i) mean += double(x[at + i]) / kWidth;
    for (size_t i = 0; i < kWidth; ++i) square += std::pow(double(x[at + i]) - mean, 2) / kWidth;
    for (size_t i = 0; i < kWidth; ++i) {
      expected[at + i] = (double(x[at + i]) - mean) / std::sqrt(square + 1e-5) * double(weight.values[i]) +
                         double(bias.values[i]);
    }
  }
  const Rows out = rig.empty(kCount, kWidth);
  rig.ops.layer_norm(rig.rows(x, kWidth), weight.matrix, bias.matrix, 1e-5f, out);
  EXPECT_LT(nmse(rig.floats(out), expected), 1e-12);
}

TEST(Rows, ColumnsAndProductsValueByValue) {
  Rig rig(2);
  const auto x = normal(kCount * kWidth, 1), by = normal(kWidth, 2), y = normal(kCount * kWidth, 3);
  const std::vector<int32_t> columns = {599, 0, 7};
  const Rows in = rig.rows(x, kWidth), few = rig.empty(kCount, 3), scaled = rig.rows(x, kWidth);
  const Rows product = rig.rows(y, kWidth), sum = rig.rows(y, kWidth);
  rig.ops.gather_columns(in, columns, few);
  rig.ops.scale_columns(scaled, by);
  rig.ops.times(in, product);
  rig.ops.add_to_columns(few, columns, sum);
  for (size_t i = 0; i < size_t(kCount); ++i) {
    for (size_t j = 0; j < 3; ++j) EXPECT_EQ(rig.floats(few)[i * 3 + j], x[i * kWidth + size_t(columns[j])]);
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const auto column = int32_t(i % kWidth);
    const bool touched = std::find(columns.begin(), columns.end(), column) != columns.end();
    ASSERT_EQ(rig.floats(scaled)[i], x[i] * by[size_t(column)]);
    ASSERT_EQ(rig.floats(product)[i], x[i] * y[i]);
    ASSERT_EQ(rig.floats(sum)[i], touched ? y[i] + x[i] : y[i]);
  }
}

TEST(Rows, Activations) {
  std::vector<float> x;
  for (float value = -20; value <= 20; value += 0.0625f) x.push_back(value);
  const auto up = normal(x.size(), 4);
  const auto width = int32_t(x.size());
  const auto check = [&](Activation kind, double (*function)(double)) {
    Rig rig;
    const Rows plain = rig.rows(x, width), gate = rig.rows(x, width);
    rig.ops.activate(kind, plain);
    rig.ops.activate_times(kind, gate, rig.rows(up, width));
    const auto got = rig.floats(plain), times = rig.floats(gate);
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = function(double(x[i]));
      EXPECT_NEAR(got[i], expected, 2e-6 * std::abs(expected) + 1e-12) << x[i];
      EXPECT_EQ(times[i], got[i] * up[i]);
    }
  };
  check(Activation::silu, [](double v) { return v / (1 + std::exp(-v)); });
  check(Activation::relu, [](double v) { return v > 0 ? v : 0.0; });
  check(Activation::gelu_erf, [](double v) { return 0.5 * v * std::erfc(-v / std::sqrt(2.0)); });
  check(Activation::gelu_tanh, [](double v) {  // as a sigmoid: tanh cancels where it nears -1
    return v / (1 + std::exp(-2 * std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
  });
}

TEST(Rows, SoftmaxAndSoftCap) {
  Rig rig;
  const std::vector<float> x = {1, 2, 3, -50, 88, 89, 90, -1e30f};
  const Rows p = rig.rows(x, 4), capped = rig.rows(x, 4);
  rig.ops.softmax(p);
  rig.ops.soft_cap(capped, 30);
  const auto got = rig.floats(p), soft = rig.floats(capped);
  for (size_t at : {0, 4}) {
    double sum = 0;
    const double top = at == 0 ? 3 : 90;
    for (size_t i = at; i < at + 4; ++i) sum += std::exp(double(x[i]) - top);
    for (size_t i = at; i < at + 4; ++i) EXPECT_NEAR(got[i], std::exp(double(x[i]) - top) / sum, 1e-7);
  }
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(soft[i], 30 * std::tanh(double(x[i]) / 30), 1e-5);
}

TEST(Rows, ClampAndFill) {
  Rig rig;
  const Rows all = rig.rows({1, -5, 3, -1, 9, -9}, 3);
  rig.ops.clamp(all.columns(0, 2), -2, 2);
  EXPECT_EQ(rig.floats(all), (std::vector<float>{1, -2, 3, -1, 2, -9}));
  rig.ops.fill(all.columns(1, 1), 7);
  EXPECT_EQ(rig.floats(all), (std::vector<float>{1, 7, 3, -1, 7, -9}));
}

TEST(Rows, RopeTurnsPairs) {
  Rig rig(2);
  const int32_t heads = 3, dim = 64, width = 80;
  const std::vector<int32_t> positions = {0, 5, 100000};
  std::vector<float> factors(dim / 2);
  for (size_t i = 0; i < factors.size(); ++i) factors[i] = 1 + 0.1f * float(i);
  const auto x = normal(3 * heads * width, 6);
  for (RopeKind kind : {RopeKind::adjacent, RopeKind::halves}) {
    const RopeSpec spec{.kind = kind,
                        .dim = dim,
                        .base = 500000,
                        .scale = 0.5f,
                        .attention_factor = 1.25f,
                        .factors = factors};
    std::vector<double> expected(x.begin(), x.end());
    for (size_t row = 0; row < 3; ++row) {
      for (size_t head = 0; head < heads; ++head) {
        double* at = &expected[(row * heads + head) * width];
        for (size_t i = 0; i < dim / 2; ++i) {
          double& a = at[kind == RopeKind::adjacent ? 2 * i : i];
          double& b = at[kind == RopeKind::adjacent ? 2 * i + 1 : i + dim / 2];
          const double angle =
              positions[row] * 0.5 * std::pow(500000.0, -2.0 * double(i) / dim) / double(factors[i]);
          const double old = a;
          a = 1.25 * (old * std::cos(angle) - b * std::sin(angle));
          b = 1.25 * (old * std::sin(angle) + b * std::cos(angle));
        }
      }
    }
    const Rows rows = rig.rows(x, heads * width);
    rig.ops.rope(rows, heads, spec, positions);
    EXPECT_LT(nmse(rig.floats(rows), expected), 1e-13);
  }
}

TEST(Rows, YarnLeavesFastPairsAndSlowsSlowOnes) {
  Rig rig;
  RopeSpec spec{
      .kind = RopeKind::halves, .dim = 64, .base = 10000, .yarn_extension = 4, .original_context = 4096};
  std::vector<float> ones(64, 0.f);
  std::fill_n(ones.begin(), 32, 1.f);
  const Rows x = rig.rows(ones, 64);
  const std::vector<int32_t> positions = {1};
  rig.ops.rope(x, 1, spec, positions);
  const auto got = rig.floats(x);
  EXPECT_NEAR(got[0], std::cos(1.0), 1e-6);                                     // 652 turns in the context
  EXPECT_NEAR(got[32 + 31], std::sin(std::pow(10000, -62.0 / 64) / 4), 1e-10);  // 0.09 turns
  // Pair 16 turns 6.5 times, between 32 and 1: borders floor(10.46) and ceil(22.51).
  const double slow = (16.0 - 10) / (23 - 10);
  EXPECT_NEAR(got[32 + 16], std::sin(0.01 * (1 - slow + slow / 4)), 1e-8);
}

TEST(Rows, GatherScatterAndSums) {
  Rig rig;
  const Encoded table("q8_0", 10, 64, 1);
  const std::vector<int32_t> picks = {3, 0, 3};
  const Rows out = rig.empty(3, 64);
  rig.ops.gather(table.matrix, picks, out);
  const auto got = rig.floats(out);
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_EQ(got[i], table.values[size_t(picks[i / 64]) * 64 + i % 64]);

  const Rows sums = rig.rows(std::vector<float>(4 * 64), 64);
  const std::vector<float> weights = {0.5f, 2, 0.25f};
  rig.ops.scatter_add(out, picks, weights, sums);
  const auto scattered = rig.floats(sums);
  for (size_t i = 0; i < 64; ++i) {
    EXPECT_EQ(scattered[i], got[64 + i] * 2);
    EXPECT_EQ(scattered[64 + i], 0);
    EXPECT_FLOAT_EQ(scattered[3 * 64 + i], got[i] * 0.75f);
  }
  const Rows again = rig.empty(2, 64);
  rig.ops.gather_rows(out, std::vector<int32_t>{1, 2}, again);
  rig.ops.scale(again, 3);
  rig.ops.add(out.slice(0, 2), again);
  std::vector<float> mean(64);
  rig.ops.mean(again, mean);
  for (size_t i = 0; i < 64; ++i) EXPECT_NEAR(mean[i], (got[64 + i] * 4 + got[i] * 4) / 2, 1e-5);
}

TEST(Rows, BiasAndEncode) {
  Rig rig;
  const Encoded bias("f32", 1, 64, 1);
  const auto values = normal(2 * 64, 2);
  const Rows x = rig.rows(values, 64);
  std::vector<std::byte> bytes(2 * 64 * 4);
  rig.ops.add_bias(x, bias.matrix);
  rig.ops.encode(x.columns(0, 64), **codec_named("f32"), bytes);
  std::vector<float> back(128);
  (*codec_named("f32"))->decode(bytes, back);
  for (size_t i = 0; i < 128; ++i) EXPECT_EQ(back[i], values[i] + bias.values[i % 64]);
}

TEST(Rows, ScratchTakesAndReleases) {
  Ledger ledger(1 << 20);
  EXPECT_EQ(Scratch::make(ledger, 2 << 20).code(), Code::over_budget);
  Scratch scratch =
      std::move(Scratch::make(ledger, Scratch::bytes_for(3, 5) + Scratch::bytes_for(1, 1))).value();
  const Rows first = scratch.take(3, 5);
  const int64_t mark = scratch.mark();
  scratch.take(1, 1);
  scratch.release(mark);
  const Rows again = scratch.take(1, 1);
  EXPECT_EQ(first.count(), 3);
  EXPECT_EQ(again.width(), 1);
  EXPECT_EQ(scratch.mark(), scratch.size());
  EXPECT_DEATH(scratch.take(1, 1), "too small");
}

}  // namespace
}  // namespace varve
