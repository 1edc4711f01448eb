// Products of many rows of plain numbers, and of small floats, of every ISA that has them.
#include "math/kernel/half.h"
#include "math/kernel/rig_test.h"
#include "math/kernel/side.h"

namespace varve {
namespace {

class PlainPerIsa : public PerIsa {
 protected:
  const SideKernels& side() const { return side_kernels(GetParam()); }
  std::vector<WideInputs> packed(const std::vector<float>& x, size_t n) {
    const size_t rows = x.size() / n, groups = (rows + 15) / 16;
    std::vector<WideInputs> all(groups * ((n + kPlainDepth - 1) / kPlainDepth));
    for (size_t i = 0; i < groups; ++i)
      side().pack_plain(&x[16 * i * n], n, std::min<size_t>(16, rows - 16 * i), n, &all[i], groups);
    return all;
  }
};

struct Weights {
  std::vector<unsigned char> bytes;  // from the second on
  size_t row_bytes;
  std::vector<float> values;
};
Weights weights(Plain kind, size_t rows, size_t n, std::mt19937& random) {
  const size_t each = kind == Plain::f32 ? 4 : 2;
  Weights made{{}, kind == Plain::rf8 ? n / 128 * sizeof(BlockRf8) : each * n, std::vector<float>(rows * n)};
  made.bytes.resize(rows * made.row_bytes + 1);
  if (kind == Plain::rf8) {
    for (size_t i = 1; i < made.bytes.size(); ++i)
      made.bytes[i] = (i - 1) % sizeof(BlockRf8) == 0 ? uint8_t(random() % 7) : uint8_t(random());
    side_kernels("generic").decode_rf8(made.bytes.data() + 1, made.values.size(), made.values.data());
    return made;
  }
  for (size_t i = 0; i < made.values.size(); ++i) {
    const float value = float(int(random() % 2001) - 1000) / 256;
    const uint16_t half = kind == Plain::f16 ? f32_to_f16(value) : f32_to_bf16(value);
    const float kept = kind == Plain::f32 ? value : kind == Plain::f16 ? f16_to_f32(half) : bf16_to_f32(half);
    made.values[i] = kept;
    std::memcpy(&made.bytes[1 + each * i], kind == Plain::f32 ? static_cast<const void*>(&kept) : &half,
                each);
  }
  return made;
}

TEST_P(PlainPerIsa, ProductsAgreeWithDoublesAndARowIsTheSameInAnyCompany) {
  if (side().pack_plain == nullptr) GTEST_SKIP() << "no such products";
  for (size_t kind = 0; kind < size_t(Plain::count); ++kind) {
    const auto multiply = side().multiply_plain[kind];
    for (const auto& [w_rows, x_rows, about] :
         {std::tuple<size_t, size_t, size_t>{32, 41, 640}, {17, 3, 37}, {5, 17, 300}, {1, 1, 1}}) {
      const size_t n = Plain(kind) == Plain::rf8 ? (about + 127) / 128 * 128 : about;
      const Weights w = weights(Plain(kind), w_rows, n, random_);
      const auto x = normal(x_rows * n), before = normal(x_rows * (w_rows + 3));
      const auto inputs = packed(x, n);
      const WeightRows rows{w.bytes.data() + 1, w.row_bytes, w_rows, n};
      std::vector<float> y = before, sum = before;
      multiply(rows, inputs.data(), x_rows, y.data(), w_rows + 3, false);
      multiply(rows, inputs.data(), x_rows, sum.data(), w_rows + 3, true);
      for (size_t j = 0; j < x_rows; ++j) {
        std::vector<float> alone(w_rows);
        const auto own = packed({x.begin() + long(j * n), x.begin() + long((j + 1) * n)}, n);
        multiply(rows, own.data(), 1, alone.data(), w_rows, false);
        for (size_t i = 0; i < w_rows + 3; ++i) {
          const size_t at = j * (w_rows + 3) + i;
          if (i >= w_rows) {  // beyond the rows nothing is touched
            EXPECT_EQ(y[at], before[at]);
            continue;
          }
          EXPECT_EQ(y[at], alone[i]);
          EXPECT_EQ(sum[at], before[at] + y[at]);
          double expected = 0, size = 1e-30;
          for (size_t k = 0; k < n; ++k) {
            const double term = double(w.values[i * n + k]) * double(x[j * n + k]);
            expected += term, size += std::abs(term);
          }
          EXPECT_NEAR(double(y[at]), expected, 1e-6 * size) << kind << " " << w_rows << " " << n;
        }
      }
    }
  }
}

TEST_P(PlainPerIsa, SmallFloatsHaveTheBitsOfTheOracleAlsoWhenStreamed) {
  for (size_t blocks = 1; blocks < 6; ++blocks) {
    const size_t n = 128 * blocks, w_rows = 7;
    auto any = bytes(w_rows * blocks * sizeof(BlockRf8) + 1);
    for (size_t i = 0; i < w_rows * blocks; i += 3)  // the smallest and the largest scales, too
      any[1 + i * sizeof(BlockRf8)] = static_cast<unsigned char>(i % 2 == 0 ? 0x80 : 0x7f);
    std::vector<float> got(w_rows * n), expected = got;
    side().decode_rf8(any.data() + 1, got.size(), got.data());
    side_kernels("generic").decode_rf8(any.data() + 1, got.size(), expected.data());
    EXPECT_TRUE(same_bits(got, expected));

    const Weights w = weights(Plain::rf8, w_rows, n, random_);
    const auto x = normal(n);
    std::vector<Lanes> streamed(w_rows), made(w_rows);
    side().stream_rf8(w.bytes.data() + 1, w.row_bytes, w_rows, x.data(), n, streamed.data());
    table_->dot_f32(w.values.data(), n, w_rows, x.data(), n, 1, n, made.data());
    EXPECT_TRUE(same_bits(streamed, made));
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, PlainPerIsa, testing::ValuesIn(kIsaNames),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace varve
