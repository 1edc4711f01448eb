// Products of many rows, of every ISA that has them, against sums of doubles.
#include "math/kernel/rig_test.h"

namespace varve {
namespace {

class Wide : public PerIsa {
 protected:
  // Bytes of a weight in which nothing is huge or no number at all.
  std::vector<unsigned char> weight(size_t format, size_t blocks) {
    auto all = bytes(blocks * kShapes[format].bytes + 1);
    for (unsigned char& one : all) one &= 0xb5;
    return all;
  }
  // What becomes of inputs: 8 bits, or bf16 that the bound allows for.
  bool in_8_bits() const { return std::string(table_->isa) != "amx"; }
  double bound() const { return in_8_bits() ? 1e-11 : 5e-5; }
  std::vector<double> seen(const std::vector<float>& x, size_t n) {
    std::vector<double> all(x.begin(), x.end());
    for (size_t row = 0; in_8_bits() && row < x.size() / n; ++row) {
      std::vector<InputPanel> panels((n + kPanel - 1) / kPanel);
      oracle_.quantize(&x[row * n], n, panels.data());
      for (size_t i = 0; i < n; ++i) {
        const InputPanel& panel = panels[i / kPanel];
        all[row * n + i] = double(panel.scale[i % kPanel / 16]) * panel.q[i % kPanel];
      }
    }
    return all;
  }
  std::vector<WideInputs> packed(const std::vector<float>& x, size_t n) {
    const size_t rows = x.size() / n, groups = (rows + 15) / 16;
    std::vector<WideInputs> all(groups * ((n + kPanel - 1) / kPanel));
    for (size_t i = 0; i < groups; ++i) {
      table_->pack_wide(&x[16 * i * n], n, std::min<size_t>(16, rows - 16 * i), n, &all[i], groups);
    }
    return all;
  }
};

TEST_P(Wide, AgreesWithDoublesInAnyShape) {
  for (size_t format = 0; format < kFormats; ++format) {
    if (table_->multiply_wide[format] == nullptr) continue;
    const FormatShape& shape = kShapes[format];
    for (const auto& [w_rows, x_rows, about] :
         {std::tuple<size_t, size_t, size_t>{32, 40, 768}, {17, 3, 32}, {5, 17, 544}, {1, 1, 1}}) {
      const size_t blocks = (about + shape.values - 1) / shape.values, n = blocks * shape.values;
      const auto w = weight(format, w_rows * blocks);
      const auto x = normal(x_rows * n), before = normal(x_rows * (w_rows + 3));
      const auto values = seen(x, n);
      std::vector<float> decoded(w_rows * n), y = before, sum = before;
      table_->decode[format](w.data() + 1, w_rows * n, decoded.data());
      const auto inputs = packed(x, n);
      const WeightRows weights{w.data() + 1, blocks * shape.bytes, w_rows, n};
      table_->multiply_wide[format](weights, inputs.data(), x_rows, y.data(), w_rows + 3, false);
      table_->multiply_wide[format](weights, inputs.data(), x_rows, sum.data(), w_rows + 3, true);
      for (size_t j = 0; j < x_rows; ++j) {
        double error = 0, size = 1e-30;
        for (size_t i = 0; i < w_rows + 3; ++i) {
          const size_t at = j * (w_rows + 3) + i;
          if (i >= w_rows) {  // beyond the rows nothing is touched
            EXPECT_EQ(y[at], before[at]);
            continue;
          }
          EXPECT_EQ(sum[at], before[at] + y[at]);
          double expected = 0;
          for (size_t k = 0; k < n; ++k) {
            const double term = double(decoded[i * n + k]) * values[j * n + k];
            expected += term, size += term * term;
          }
          error += std::pow(double(y[at]) - expected, 2);
        }
        EXPECT_LT(error / size, bound()) << shape.name << " " << w_rows << " " << x_rows << " " << n;
      }
    }
  }
}

TEST_P(Wide, ARowHasTheSameBitsInAnyCompany) {
  const size_t w_rows = 32, x_rows = 70;
  for (const Format one : {Format::bf16, Format::q8_0, Format::q4_k, Format::q2_k}) {
    const auto format = size_t(one);
    if (table_->multiply_wide[format] == nullptr) continue;
    const size_t n = 512, row_bytes = n / kShapes[format].values * kShapes[format].bytes;
    const auto w = weight(format, w_rows * n / kShapes[format].values);
    const auto x = normal(x_rows * n);
    const auto inputs = packed(x, n);
    std::vector<float> whole(x_rows * w_rows), alone(x_rows * w_rows);
    table_->multiply_wide[format]({w.data() + 1, row_bytes, w_rows, n}, inputs.data(), x_rows, whole.data(),
                                  w_rows, false);
    for (size_t j = 0; j < x_rows; ++j) {
      const auto own = packed({x.begin() + long(j * n), x.begin() + long((j + 1) * n)}, n);
      for (size_t i = 0; i < w_rows; i += 11) {
        table_->multiply_wide[format](
            {w.data() + 1 + i * row_bytes, row_bytes, std::min<size_t>(11, w_rows - i), n}, own.data(), 1,
            &alone[j * w_rows + i], w_rows, false);
      }
    }
    EXPECT_TRUE(same_bits(whole, alone)) << kShapes[format].name;
  }
}

TEST_P(Wide, NotANumberStaysInItsRow) {
  const auto format = size_t(Format::q8_0);
  if (table_->multiply_wide[format] == nullptr) GTEST_SKIP() << "no such products";
  const size_t n = 256, rows = 4;
  const auto w = weight(format, 4 * n / 32);
  auto x = normal(rows * n);
  x[2 * n + 40] = kInfinity;
  std::vector<float> y(rows * 4);
  table_->multiply_wide[format]({w.data() + 1, n / 32 * 34, 4, n}, packed(x, n).data(), rows, y.data(), 4,
                                false);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isfinite(y[i]), i / 4 != 2) << i;
}

INSTANTIATE_TEST_SUITE_P(Kernels, Wide, testing::ValuesIn(kIsaNames),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace varve
