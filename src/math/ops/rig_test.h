// What the tests of Ops stand on: rows from numbers, matrices from codecs, doubles to compare with.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "math/ops/ops.h"

namespace varve {

struct Rig {
  explicit Rig(int threads = 1, Ops::Precision precision = Ops::Precision::exact)
      : pool(threads), ops(pool, precision) {}

  Rows rows(const std::vector<float>& values, int32_t width) {
    const Rows all = empty(int32_t(values.size()) / width, width);
    ops.load(values, all);
    return all;
  }
  Rows empty(int32_t count, int32_t width) { return scratch.take(count, width); }
  std::vector<float> floats(Rows rows) {
    std::vector<float> out(size_t(rows.count()) * size_t(rows.width()));
    ops.store(rows, out);
    return out;
  }

  Ledger ledger{64 << 20};
  Scratch scratch = std::move(Scratch::make(ledger, 32 << 20)).value();
  ThreadPool pool;
  Ops ops;
};

inline std::vector<float> normal(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(n);
  for (float& value : values) value = distribution(random);
  return values;
}

struct Encoded {  // a matrix and the floats that its bytes mean
  Encoded(const std::string& codec, int32_t rows, int32_t cols, uint32_t seed)
      : Encoded(codec, rows, cols, normal(size_t(rows) * size_t(cols), seed)) {}
  Encoded(const std::string& codec, int32_t rows, int32_t cols, const std::vector<float>& from)
      : values(from.size()) {
    matrix.codec = *codec_named(codec);
    matrix.rows = rows, matrix.cols = cols;
    bytes.resize(size_t(matrix.codec->bytes_for(int64_t(rows) * cols)));
    matrix.codec->encode(from, bytes);
    matrix.codec->decode(bytes, values);
    matrix.bytes = bytes;
  }
  std::vector<std::byte> bytes;
  std::vector<float> values;
  Matrix matrix;
};

inline double nmse(const std::vector<float>& got, const std::vector<double>& expected) {
  EXPECT_EQ(got.size(), expected.size());
  double error = 0, size = 1e-300;
  for (size_t i = 0; i < got.size(); ++i) {
    error += (double(got[i]) - expected[i]) * (double(got[i]) - expected[i]);
    size += expected[i] * expected[i];
  }
  return error / size;
}

inline std::vector<double> product(const std::vector<float>& x, const Encoded& w) {
  const auto cols = size_t(w.matrix.cols), rows = size_t(w.matrix.rows);
  std::vector<double> y(x.size() / cols * rows);
  for (size_t i = 0; i < y.size(); ++i) {
    for (size_t k = 0; k < cols; ++k) {
      y[i] += double(x[i / rows * cols + k]) * double(w.values[i % rows * cols + k]);
    }
  }
  return y;
}

}  // namespace varve
