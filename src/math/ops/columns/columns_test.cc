// Rows and columns of a matrix alone give the bits of the whole.
#include "math/ops/rig_test.h"

namespace varve {
namespace {

std::vector<Matrix> rows_of(const Matrix& w, const std::vector<int32_t>& rows) {
  std::vector<Matrix> some;
  const auto bytes = size_t(w.codec->bytes_for(w.cols));
  for (const int32_t row : rows)
    some.push_back({w.codec, w.bytes.subspan(size_t(row) * bytes, bytes), 1, w.cols});
  return some;
}

TEST(Columns, RowsAloneHaveTheBitsOfTheWholeProduct) {
  const std::vector<int32_t> some{0, 3, 4, 17, 40};
  for (const char* codec : {"f32", "bf16", "q8_0", "q4_k"}) {
    const Encoded w(codec, 41, 768, 3);
    for (const int32_t n : {1, 3}) {
      for (const auto precision : {Ops::Precision::exact, Ops::Precision::fast}) {
        Rig rig(2, precision);
        const Rows x = rig.rows(normal(size_t(n) * 768, 5), 768), all = rig.empty(n, 41),
                   few = rig.empty(n, int32_t(some.size())), expected = rig.empty(n, int32_t(some.size()));
        rig.ops.matmul(x, w.matrix, all);
        rig.ops.matmul_rows(x, rows_of(w.matrix, some), few);
        rig.ops.gather_columns(all, some, expected);
        EXPECT_EQ(rig.floats(few), rig.floats(expected)) << codec << " " << n;
      }
    }
  }
}

TEST(Columns, ColumnsAloneHaveTheBitsOfTheWholeProductWithZeros) {
  constexpr int32_t kOut = 300, kHidden = 1000;
  for (const char* codec : {"f32", "f16", "bf16"}) {
    const Encoded turned(codec, kHidden, kOut, 9);  // row j is column j of w
    std::vector<float> values(size_t(kOut) * kHidden);
    for (size_t j = 0; j < size_t(kHidden); ++j)
      for (size_t i = 0; i < size_t(kOut); ++i) values[i * kHidden + j] = turned.values[j * kOut + i];
    const Encoded w(codec, kOut, kHidden, values);
    std::vector<int32_t> fired;
    std::mt19937 random(4);
    for (int32_t j = 0; j < kHidden; ++j)
      if (random() % 12 == 0) fired.push_back(j);
    const size_t half = fired.size() / 2;
    for (const int32_t n : {1, 2}) {
      std::vector<float> x(size_t(n) * kHidden);
      const std::vector<float> drawn = normal(x.size(), 8);
      for (size_t row = 0; row < size_t(n); ++row)
        for (const int32_t j : fired) x[row * kHidden + size_t(j)] = drawn[row * kHidden + size_t(j)];
      for (const auto precision : {Ops::Precision::exact, Ops::Precision::fast}) {
        Rig rig(2, precision);
        const Rows wide = rig.rows(x, kHidden), y = rig.empty(n, kOut), whole = rig.empty(n, kOut),
                   sums = rig.empty(Ops::kColumnSums * n, kOut);
        rig.ops.matmul(wide, w.matrix, whole);
        rig.ops.fill(sums, 0);
        for (const auto& part : {std::vector(fired.begin(), fired.begin() + ptrdiff_t(half)),
                                 std::vector(fired.begin() + ptrdiff_t(half), fired.end())}) {
          const Rows own = rig.empty(n, int32_t(part.size()));
          rig.ops.gather_columns(wide, part, own);
          rig.ops.add_columns(own, rows_of(turned.matrix, part), part, sums);
        }
        rig.ops.finish_columns(sums, y);
        EXPECT_EQ(rig.floats(y), rig.floats(whole)) << codec << " " << n;
      }
    }
  }
}

}  // namespace
}  // namespace varve
