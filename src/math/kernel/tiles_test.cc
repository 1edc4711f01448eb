// Packed products of training against the oracle.
#include "math/kernel/rig_test.h"

namespace varve {
namespace {

class TilesPerIsa : public PerIsa {};

TEST_P(TilesPerIsa, PacksTheBitsOfTheOracle) {
  for (Pack how : {Pack::left, Pack::right, Pack::left_turned, Pack::right_turned}) {
    const bool wide = how == Pack::left || how == Pack::right_turned;
    for (size_t rows = 1; rows <= (wide ? 16 : 32); rows += 3) {
      for (size_t cols = 1; cols <= (wide ? 32 : 16); cols += 3) {
        auto from = normal(rows * (cols + 5));
        from[0] = kInfinity, from[cols / 2] = 1.00390625f, from[cols - 1] = -1e-40f;
        if (rows > 1) from[cols + 5] = std::nanf("");
        std::vector<uint16_t> got(kTileValues, 7), expected(kTileValues, 9);
        table_->pack(how, from.data(), cols + 5, rows, cols, got.data());
        oracle_.pack(how, from.data(), cols + 5, rows, cols, expected.data());
        for (uint16_t& value : expected) {  // the matrix unit takes what is below 2^-126 as 0
          if (table_->isa == std::string_view("amx") && (value & 0x7f80) == 0) value &= 0x8000;
        }
        EXPECT_EQ(got, expected) << int(how) << " " << rows << " " << cols;
      }
    }
  }
}

struct Packed {  // numbers as both kinds of factor, of `size` rows and `deep` columns
  std::vector<uint16_t> left, right;
  Packed(const Kernels& table, const std::vector<float>& from, size_t size, size_t deep) {
    for (size_t i = 0; i < size; i += kTileSize) {
      for (size_t k = 0; k < deep; k += kTileDepth) {
        left.resize(left.size() + kTileValues), right.resize(left.size());
        const size_t rows = std::min(kTileSize, size - i), cols = std::min(kTileDepth, deep - k);
        table.pack(Pack::left, &from[i * deep + k], deep, rows, cols, &left[left.size() - kTileValues]);
        table.pack(Pack::right_turned, &from[i * deep + k], deep, rows, cols,
                   &right[right.size() - kTileValues]);
      }
    }
  }
};

TEST_P(TilesPerIsa, MultipliesTilesLikeTheOracle) {
  for (size_t rows : {1, 15, 16, 17, 33, 64}) {
    for (size_t cols : {1, 16, 31, 48}) {
      for (size_t deep : {1, 32, 97}) {
        const auto x = normal(rows * deep), w = normal(cols * deep);
        const Packed left(*table_, x, rows, deep), right(*table_, w, cols, deep);
        const size_t depth = (deep + kTileDepth - 1) / kTileDepth;
        for (bool add : {false, true}) {
          auto got = normal(rows * (cols + 3)), expected = got;
          const auto before = got;
          table_->multiply(left.left.data(), rows, right.right.data(), cols, depth, got.data(), cols + 3,
                           add);
          oracle_.multiply(left.left.data(), rows, right.right.data(), cols, depth, expected.data(), cols + 3,
                           add);
          for (size_t i = 0; i < rows * (cols + 3); ++i) {
            if (i % (cols + 3) >= cols) {
              EXPECT_EQ(got[i], before[i]);
            } else {
              EXPECT_NEAR(double(got[i]), double(expected[i]), 4e-6 * double(deep + 1))
                  << rows << cols << deep;
            }
          }
          // An element knows nothing of its neighbours.
          float alone = before[0];
          table_->multiply(left.left.data(), 1, right.right.data(), 1, depth, &alone, 1, add);
          EXPECT_EQ(alone, got[0]);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, TilesPerIsa, testing::ValuesIn(kIsaNames),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace varve
