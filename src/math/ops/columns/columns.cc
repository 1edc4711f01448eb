// Products with some columns of a matrix, where all others meet zeros. A row of numbers for each of the lanes
// that matmul would put a value into: in the same order, hence with the same bits.
#include <algorithm>
#include <string_view>

#include "math/ops/ops.h"
#include "math/ops/tile.h"

namespace varve {
namespace {

constexpr int32_t kWidth = 256;  // outputs of a task: its sums stay in the nearest cache

// Values of a row go to the floats of a Lanes in turn, so many; 0: a Lanes is one sum, in order.
int32_t lanes_of(const Kernels& table) {
  const std::string_view isa = table.isa;
  return isa == "generic" ? 0 : isa == "avx2" ? 8 : 16;
}

}  // namespace

void Ops::add_columns(Rows x, std::span<const Matrix> columns, std::span<const int32_t> at, Rows sums) {
  CHECK(x.width() == int32_t(columns.size()) && columns.size() == at.size(), "a place for each column");
  CHECK(sums.count() == kColumnSums * x.count(), "sums of each row");
  const int32_t lanes = lanes_of(kernels());
  for (const Matrix& one : columns) check_matrix(one), CHECK(one.cols == sums.width(), "shapes of columns");
  pool_.run((sums.width() + kWidth - 1) / kWidth, [&](int64_t task) {
    const auto first = int32_t(task) * kWidth, width = std::min(kWidth, sums.width() - first);
    alignas(64) float column[kWidth];
    for (size_t i = 0; i < columns.size(); ++i) {
      decode_part(columns[i], 0, first, width, column);
      for (int32_t row = 0; row < x.count(); ++row) {
        const float* factor = RowsAccess::row(x, row) + i;
        if (lanes > 0) {
          kernels().mix(factor, 1, column, 0, size_t(width),
                        RowsAccess::row(sums, row * kColumnSums + at[i] % lanes) + first);
          continue;
        }
        auto* own = reinterpret_cast<Lanes*>(RowsAccess::row(sums, row * kColumnSums)) + first;
        for (int32_t out = 0; out < width; ++out)
          kernels().dot_f32(column + out, 0, 1, factor, 0, 1, 1, own + out);
      }
    }
  });
}

void Ops::finish_columns(Rows sums, Rows y) {
  CHECK(sums.count() == kColumnSums * y.count() && sums.width() == y.width(), "sums of each row");
  const auto lanes = size_t(lanes_of(kernels()));
  pool_.run((y.width() + kWidth - 1) / kWidth, [&](int64_t task) {
    const auto first = int32_t(task) * kWidth, width = std::min(kWidth, y.width() - first);
    Lanes turned[kWidth];
    for (int32_t row = 0; row < y.count(); ++row) {
      const Lanes* own = reinterpret_cast<const Lanes*>(RowsAccess::row(sums, row * kColumnSums)) + first;
      for (size_t lane = 0; lane < lanes; ++lane) {
        const float* from = RowsAccess::row(sums, row * kColumnSums + int32_t(lane)) + first;
        for (int32_t out = 0; out < width; ++out)
          std::memcpy(turned[out].bytes + lane * sizeof(float), from + out, sizeof(float));
      }
      kernels().finish(lanes > 0 ? turned : own, size_t(width), RowsAccess::row(y, row) + first);
    }
  });
}

}  // namespace varve
