// Weights coded without loss: every product has the bits of the bf16 that they mean.
#include "math/codec/df11.h"
#include "math/ops/rig_test.h"

namespace varve {
namespace {

struct Twins {  // one matrix, coded and not
  Twins(int32_t rows, int32_t cols) : plain("bf16", rows, cols, 3) {
    int64_t most = 0;
    for (size_t at = 0; at < plain.values.size(); at += size_t(cols))
      most = std::max(most, Df11::others(std::span(plain.values).subspan(at, size_t(cols))));
    codec = Df11::make(cols, Df11::row_bytes(cols, most)).value();
    bytes.resize(size_t(codec->bytes_for(int64_t(rows) * cols)));
    codec->encode(plain.values, bytes);
    coded = {codec.get(), bytes, rows, cols};
  }
  Encoded plain;
  std::shared_ptr<const Codec> codec;
  std::vector<std::byte> bytes;
  Matrix coded;
};

TEST(CodedMatrix, every_product_has_the_bits_of_bf16) {
  for (const auto& [rows, cols] : {std::pair{9, 64}, {131, 448}, {37, 4096 + 128}}) {
    const Twins w(rows, cols);
    for (const int32_t n : {1, 3, 70}) {
      const auto x = normal(size_t(n) * size_t(cols), 5);
      for (const auto precision : {Ops::Precision::exact, Ops::Precision::fast}) {
        for (const bool reading : {false, true}) {
          Rig rig(2, precision);
          rig.ops.reading(reading);
          const Rows in = rig.rows(x, cols), one = rig.empty(n, rows), other = rig.empty(n, rows);
          rig.ops.matmul(in, w.plain.matrix, one);
          rig.ops.matmul(in, w.coded, other);
          EXPECT_EQ(rig.floats(one), rig.floats(other)) << rows << " x " << cols << " of " << n;
        }
      }
    }
  }
}

TEST(CodedMatrix, backward_and_rows_of_a_table_too) {
  const Twins w(37, 1216);
  Rig rig;
  const Rows d = rig.rows(normal(5 * 37, 6), 37), one = rig.empty(5, 1216), other = rig.empty(5, 1216);
  rig.ops.matmul_back(d, w.plain.matrix, one);
  rig.ops.matmul_back(d, w.coded, other);
  EXPECT_EQ(rig.floats(one), rig.floats(other));
  std::vector<float> row(1216);
  w.codec->decode(std::span(w.bytes).subspan(36 * w.codec->block_bytes(), w.codec->block_bytes()), row);
  EXPECT_TRUE(std::equal(row.begin(), row.end(), w.plain.values.begin() + 36 * 1216));
}

}  // namespace
}  // namespace varve
