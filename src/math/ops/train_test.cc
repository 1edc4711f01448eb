// TrainOps against sums in double, finite differences, and itself with another number of threads.
#include "math/ops/train.h"

#include <cmath>
#include <functional>
#include <numeric>

#include "math/ops/rig_test.h"

namespace varve {
namespace {

using Precision = TrainOps::Precision;

struct TrainRig : Rig {
  explicit TrainRig(Precision precision, int threads = 1)
      : Rig(threads), train(std::move(TrainOps::make(pool, ledger, precision)).value()) {}
  TrainOps train;
};

double limit(Precision precision) {  // of the squared error: bf16 has 8 bits
  return precision == Precision::exact ? 1e-12 : 2e-5;
}

class BothPrecisions : public testing::TestWithParam<Precision> {};

TEST_P(BothPrecisions, ProductsOfAllThreeKindsAgreeWithDoubles) {
  for (const char* codec : {"f32", "q8_0", "q4_k"}) {
    for (int32_t n : {1, 70}) {
      TrainRig rig(GetParam(), 2);
      const int32_t rows = 96, cols = 1280;
      const Encoded w(codec, rows, cols, 1);
      const auto x = normal(size_t(n * cols), 2), d = normal(size_t(n * rows), 3);
      const Rows y = rig.empty(n, rows), dx = rig.empty(n, cols);
      rig.train.product(rig.rows(x, cols), w.matrix, y);
      EXPECT_LT(nmse(rig.floats(y), product(x, w)), limit(GetParam())) << codec;
      rig.train.product_back(rig.rows(d, rows), w.matrix, dx);
      std::vector<double> expected(size_t(n * cols)), dw(size_t(rows * cols));
      for (int32_t t = 0; t < n; ++t) {
        for (int32_t i = 0; i < rows; ++i) {
          for (int32_t j = 0; j < cols; ++j) {
            expected[size_t(t * cols + j)] +=
                double(d[size_t(t * rows + i)]) * double(w.values[size_t(i * cols + j)]);
            dw[size_t(i * cols + j)] += double(d[size_t(t * rows + i)]) * double(x[size_t(t * cols + j)]);
          }
        }
      }
      EXPECT_LT(nmse(rig.floats(dx), expected), limit(GetParam())) << codec;
      std::vector<float> got(dw.size());
      for (int twice = 0; twice < 2; ++twice) rig.train.outer_add(rig.rows(d, rows), rig.rows(x, cols), got);
      for (double& value : dw) value *= 2;
      EXPECT_LT(nmse(got, dw), limit(GetParam()));
    }
  }
}

TEST_P(BothPrecisions, AWideWeightIsReadInWholeBlocksBothWays) {
  TrainRig rig(GetParam(), 2);
  const int32_t rows = 1100, cols = 1536;  // more than one group of panels, more than one depth
  const Encoded w("q4_k", rows, cols, 1);
  const auto d = normal(size_t(3 * rows), 3);
  const Rows dx = rig.empty(3, cols);
  rig.train.product_back(rig.rows(d, rows), w.matrix, dx);
  std::vector<double> expected(size_t(3 * cols));
  for (int32_t t = 0; t < 3; ++t) {
    for (int32_t i = 0; i < rows; ++i) {
      for (int32_t j = 0; j < cols; ++j) {
        expected[size_t(t * cols + j)] +=
            double(d[size_t(t * rows + i)]) * double(w.values[size_t(i * cols + j)]);
      }
    }
  }
  EXPECT_LT(nmse(rig.floats(dx), expected), limit(GetParam()));
}

TEST_P(BothPrecisions, WhatRowsWouldAddToAGradientIsMeasuredWithoutIt) {
  const int32_t n = 70, rows = 24, cols = 40;
  const auto d = normal(size_t(n * rows), 1), x = normal(size_t(n * cols), 2);
  std::vector<int32_t> places;
  for (int32_t i = 0; i < n; ++i) places.push_back(i * i % 23);
  std::vector<double> outer(size_t(rows * cols)), table(size_t(23 * rows));
  for (size_t t = 0; t < size_t(n); ++t) {
    for (size_t i = 0; i < size_t(rows); ++i) {
      table[size_t(places[t]) * size_t(rows) + i] += double(d[t * size_t(rows) + i]);
      for (size_t j = 0; j < size_t(cols); ++j)
        outer[i * size_t(cols) + j] += double(d[t * size_t(rows) + i]) * double(x[t * size_t(cols) + j]);
    }
  }
  const auto squares = [](const std::vector<double>& all) {
    return std::inner_product(all.begin(), all.end(), all.begin(), 0.0);
  };
  double one[3] = {};
  for (int threads : {1, 3}) {
    TrainRig rig(GetParam(), threads);
    const Rows ds = rig.rows(d, rows), xs = rig.rows(x, cols);
    EXPECT_NEAR(rig.train.outer_squares(ds, xs) / squares(outer), 1, 1e-5);
    EXPECT_NEAR(rig.train.scatter_squares(ds, places) / squares(table), 1, 1e-5);
    // Rows 5 .. 28 of a larger table are here; row 30 is not.
    const std::vector<int32_t> asked = {5, 28, 4, 30, 5};
    std::vector<float> picked(asked.size() * size_t(cols));
    rig.train.outer_rows_add(ds, xs, 5, asked, picked);
    for (size_t j = 0; j < size_t(cols); ++j) {
      EXPECT_NEAR(picked[j], outer[j], 1e-3);
      EXPECT_NEAR(picked[size_t(cols) + j], outer[23 * size_t(cols) + j], 1e-3);
      EXPECT_EQ(picked[2 * size_t(cols) + j], 0);
      EXPECT_EQ(picked[3 * size_t(cols) + j], 0);
      EXPECT_EQ(picked[4 * size_t(cols) + j], picked[j]);
    }
    const double now[] = {rig.train.outer_squares(ds, xs), rig.train.scatter_squares(ds, places),
                          rig.train.dot(ds, d)};
    for (size_t i = 0; i < 3 && threads > 1; ++i) EXPECT_EQ(now[i], one[i]) << "whatever the threads";
    std::copy(std::begin(now), std::end(now), std::begin(one));
  }
}

struct AttentionCase {
  DocumentAttention spec{.heads = 4, .kv_heads = 2, .key_dim = 24, .value_dim = 16, .scale = 0.3f};
  std::vector<int32_t> starts = {0, 5, 90};
  int32_t rows = 200;
  std::vector<float> q, k, v, logs;
  // gated: keys weigh as they please for queries five rows later.
  explicit AttentionCase(int32_t window = 0, bool gated = false) {
    spec.window = window, spec.starts = starts;
    q = normal(size_t(rows * 4 * 24), 1), k = normal(size_t(rows * 2 * 24), 2),
    v = normal(size_t(rows * 2 * 16), 3);
    if (!gated) return;
    logs = normal(size_t(rows * 2), 5);
    logs[41] = -30;
    spec.logs = logs, spec.near = 5;
  }

  std::vector<double> reference() const {
    std::vector<double> out(size_t(rows * 4 * 16));
    for (int32_t head = 0; head < 4; ++head) {
      for (int32_t i = 0; i < rows; ++i) {
        const int32_t start = i >= 90 ? 90 : i >= 5 ? 5 : 0;
        const int32_t first = spec.window > 0 ? std::max(start, i - spec.window + 1) : start;
        std::vector<double> p;
        double sum = 0;
        for (int32_t j = first; j <= i; ++j) {
          double score = 0;
          for (int32_t c = 0; c < 24; ++c) {
            score +=
                double(q[size_t(i * 96 + head * 24 + c)]) * double(k[size_t(j * 48 + head / 2 * 24 + c)]);
          }
          score *= double(spec.scale);
          if (!logs.empty() && i - j >= spec.near) score += double(logs[size_t(j * 2 + head / 2)]);
          p.push_back(std::exp(score));
          sum += p.back();
        }
        for (int32_t j = first; j <= i; ++j) {
          for (int32_t c = 0; c < 16; ++c) {
            out[size_t(i * 64 + head * 16 + c)] +=
                p[size_t(j - first)] / sum * double(v[size_t(j * 32 + head / 2 * 16 + c)]);
          }
        }
      }
    }
    return out;
  }
};

TEST_P(BothPrecisions, AttentionSeesItsOwnDocumentAndNothingLater) {
  for (int32_t window : {0, 1, 70, -1}) {  // -1: gated
    const AttentionCase one(std::max(0, window), window < 0);
    TrainRig rig(GetParam(), 2);
    const Rows out = rig.empty(one.rows, 64), sums = rig.empty(one.rows, 4);
    rig.train.attend(one.spec, rig.rows(one.q, 96), rig.rows(one.k, 48), rig.rows(one.v, 32), out, sums);
    EXPECT_LT(nmse(rig.floats(out), one.reference()), limit(GetParam())) << window;
  }
}

TEST_P(BothPrecisions, AttentionBackwardIsTheSlopeOfAttention) {
  for (int32_t window : {0, 70, -1}) {
    AttentionCase one(std::max(0, window), window < 0);
    TrainRig rig(GetParam(), 2);
    const auto d = normal(size_t(one.rows * 64), 4);
    const Rows q = rig.rows(one.q, 96), k = rig.rows(one.k, 48), v = rig.rows(one.v, 32),
               out = rig.empty(one.rows, 64), sums = rig.empty(one.rows, 4), dq = rig.empty(one.rows, 96),
               dk = rig.empty(one.rows, 48), dv = rig.empty(one.rows, 32);
    rig.train.attend(one.spec, q, k, v, out, sums);
    std::vector<float> dlogs(one.logs.size(), 9);
    rig.train.attend_back(one.spec, {q, k, v, out, sums, rig.rows(d, 64), dq, dk, dv, dlogs});
    auto loss = [&] {
      const auto y = one.reference();
      double sum = 0;
      for (size_t i = 0; i < y.size(); ++i) sum += y[i] * double(d[i]);
      return sum;
    };
    const auto check = [&](std::vector<float>& values, const std::vector<float>& got) {
      for (size_t i = 17; i < values.size(); i += values.size() / 5) {
        const float keep = values[i];
        values[i] = keep + 1e-3f;
        const double above = loss(), at = double(values[i]);
        values[i] = keep - 1e-3f;
        const double slope = (above - loss()) / (at - double(values[i]));
        values[i] = keep;
        EXPECT_NEAR(double(got[i]), slope, GetParam() == Precision::exact ? 2e-3 : 6e-2) << i;
      }
    };
    check(one.q, rig.floats(dq)), check(one.k, rig.floats(dk)), check(one.v, rig.floats(dv));
    if (one.logs.empty()) continue;
    check(one.logs, dlogs);
    EXPECT_NEAR(dlogs[41], 0, 1e-6f) << "what weighs nothing has no slope";
    EXPECT_EQ(dlogs[2 * 3], 0) << "its document ends before anybody is far enough from it";
  }
}

INSTANTIATE_TEST_SUITE_P(Train, BothPrecisions, testing::Values(Precision::exact, Precision::bf16),
                         [](const auto& one) { return one.param == Precision::exact ? "exact" : "bf16"; });

TEST(TrainOps, OneThreadAndThreeGiveTheSameBits) {
  const AttentionCase one;
  std::vector<std::vector<float>> seen;
  for (int threads : {1, 3}) {
    TrainRig rig(Precision::bf16, threads);
    const Encoded w("q4_0", 320, 224, 1);
    const Rows x = rig.rows(normal(300 * 224, 2), 224), d = rig.rows(normal(300 * 320, 3), 320);
    const Rows y = rig.empty(300, 320), dx = rig.empty(300, 224);
    rig.train.product(x, w.matrix, y);
    rig.train.product_back(d, w.matrix, dx);
    std::vector<float> dw(320 * 224), sums(224), norm(224);
    rig.train.outer_add(d, x, dw);
    rig.train.column_sums_add(x, sums);
    rig.train.rms_norm_back({.x = x, .d = dx, .dx = rig.rows(normal(300 * 224, 5), 224), .epsilon = 1e-5f},
                            norm);
    const Rows q = rig.rows(one.q, 96), k = rig.rows(one.k, 48), v = rig.rows(one.v, 32),
               out = rig.empty(one.rows, 64), lse = rig.empty(one.rows, 4), dq = rig.empty(one.rows, 96),
               dk = rig.empty(one.rows, 48), dv = rig.empty(one.rows, 32);
    rig.train.attend(one.spec, q, k, v, out, lse);
    rig.train.attend_back(one.spec, {q, k, v, out, lse, out, dq, dk, dv});
    std::vector<float> all = dw;
    for (const auto& part : {rig.floats(y), rig.floats(dx), sums, norm, rig.floats(out), rig.floats(dq),
                             rig.floats(dk), rig.floats(dv)}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    seen.push_back(all);
  }
  EXPECT_EQ(seen[0], seen[1]);
}

// The slope of loss(values) in one value, from both sides.
double difference(std::vector<float>& values, size_t at, const std::function<double()>& loss) {
  const float keep = values[at];
  values[at] = keep + 4e-3f;
  const double above = loss(), high = double(values[at]);
  values[at] = keep - 4e-3f;
  const double slope = (above - loss()) / (high - double(values[at]));
  values[at] = keep;
  return slope;
}

TEST(TrainOps, NormBackwardIsTheSlopeOfTheNorm) {
  for (int32_t group : {0, 8}) {
    TrainRig rig(Precision::exact);
    auto x = normal(3 * 24, 1), weight = normal(group == 0 ? 24 : size_t(group), 2);
    const auto d = normal(3 * 24, 3), start = normal(3 * 24, 4);
    auto matrix = [&] {
      return Matrix{*codec_named("f32"), std::as_bytes(std::span(weight)), 1, int32_t(weight.size())};
    };
    auto loss = [&] {
      const int64_t mark = rig.scratch.mark();
      const Rows y = rig.empty(3, 24);
      rig.ops.rms_norm(rig.rows(x, 24), matrix(), 1e-5f, y, group);
      const auto values = rig.floats(y);
      double sum = 0;
      for (size_t i = 0; i < values.size(); ++i) sum += double(values[i]) * double(d[i]);
      rig.scratch.release(mark);
      return sum;
    };
    const Rows dx = rig.rows(start, 24);
    std::vector<float> dweight(weight.size());
    rig.train.rms_norm_back({.x = rig.rows(x, 24),
                             .d = rig.rows(d, 24),
                             .dx = dx,
                             .weight = matrix(),
                             .epsilon = 1e-5f,
                             .group = group},
                            dweight);
    const auto got = rig.floats(dx);
    for (size_t i = 0; i < x.size(); i += 5) {
      EXPECT_NEAR(double(got[i] - start[i]), difference(x, i, loss), 2e-3) << i;
    }
    for (size_t i = 0; i < weight.size(); ++i) {
      EXPECT_NEAR(double(dweight[i]), difference(weight, i, loss), 2e-3);
    }
  }
}

TEST(TrainOps, ARotationBackIsTheRotationUndone) {
  for (RopeKind kind : {RopeKind::adjacent, RopeKind::halves}) {
    TrainRig rig(Precision::exact);
    const RopeSpec spec{.kind = kind, .dim = 16, .base = 100};
    const std::vector<int32_t> positions = {0, 3, 77};
    const auto values = normal(3 * 40, 1);
    const Rows x = rig.rows(values, 40), whole = rig.rows(values, 40), angles = rig.empty(3, 16);
    rig.ops.rope_angles(spec, positions, angles);
    rig.ops.rotate(x, 2, spec, angles, false);
    rig.ops.rope(whole, 2, spec, positions);
    EXPECT_EQ(rig.floats(x), rig.floats(whole));
    rig.ops.rotate(x, 2, spec, angles, true);
    const auto back = rig.floats(x);
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(back[i], values[i], 1e-6);
  }
}

TEST(TrainOps, TheLossOfPartsOfTheVocabularyIsTheLossOfTheWhole) {
  TrainRig rig(Precision::exact, 2);
  const int32_t n = 5, vocabulary = 60;
  auto logits = normal(size_t(n * vocabulary), 1);
  for (float& value : logits) value *= 4;
  const std::vector<int32_t> targets = {0, 59, 30, 31, 7};
  const std::vector<float> weights = {1, 0.5f, -0.25f, 0, 2};
  std::vector<float> largest(5, -INFINITY), sum(5), picked(5), log_sums(5);
  for (int32_t first : {0, 30}) {
    const Rows part = rig.rows(logits, vocabulary).columns(first, 30);
    rig.train.tally(part, first, targets, {largest, sum, picked});
  }
  const Rows back = rig.rows(logits, vocabulary), whole = rig.rows(logits, vocabulary);
  for (size_t i = 0; i < 5; ++i) {
    double total = 0;
    for (size_t j = 0; j < 60; ++j) total += std::exp(double(logits[i * 60 + j]));
    log_sums[i] = largest[i] + std::log(sum[i]);
    EXPECT_NEAR(double(log_sums[i]), std::log(total), 1e-5);
    EXPECT_EQ(picked[i], logits[i * 60 + size_t(targets[i])]);
  }
  for (int32_t first : {0, 30}) {
    rig.train.cross_entropy_back(back.columns(first, 30), first, {targets, log_sums, weights});
  }
  std::vector<float> one_largest(5, -INFINITY), one_sum(5);
  rig.train.tally(whole, 0, targets, {one_largest, one_sum, picked});
  rig.train.cross_entropy_tallied(whole, one_sum, {targets, log_sums, weights});
  const auto got = rig.floats(back), tallied = rig.floats(whole);
  for (size_t i = 0; i < got.size(); ++i) {
    const size_t row = i / 60;
    const double p = std::exp(double(logits[i]) - double(log_sums[row]));
    const double expected = double(weights[row]) * (p - (i % 60 == size_t(targets[row]) ? 1 : 0));
    EXPECT_NEAR(double(got[i]), expected, 1e-5);
    EXPECT_NEAR(double(tallied[i]), expected, 1e-5);
  }
}

TEST(TrainOps, SlotsAndEmbeddingsComeBack) {
  TrainRig rig(Precision::bf16, 2);
  const auto values = normal(70 * 64, 1);
  const Codec& codec = **codec_named("q8_0");
  std::vector<std::byte> bytes(size_t(codec.bytes_for(70 * 64)));
  rig.train.save(rig.rows(values, 64), codec, bytes);
  const Rows back = rig.empty(70, 64);
  rig.train.restore(bytes, codec, back);
  const auto got = rig.floats(back);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], values[i], 0.05);

  std::vector<float> table(4 * 64, 1);
  rig.train.scatter_add(rig.rows({values.begin(), values.begin() + 3 * 64}, 64),
                        std::vector<int32_t>{2, 0, 2}, 2, table);
  for (size_t j = 0; j < 64; ++j) {
    EXPECT_EQ(table[64 + j], 1);
    EXPECT_NEAR(table[128 + j], 1 + 2 * (values[j] + values[128 + j]), 1e-5);
    EXPECT_NEAR(table[j], 1 + 2 * values[64 + j], 1e-5);
  }
}

}  // namespace
}  // namespace varve
