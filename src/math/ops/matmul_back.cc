// dx = d w: the weights are read in the same tiles as forward. Tasks own columns; an output walks the weight
// rows in order.
#include <algorithm>

#include "math/ops/ops.h"
#include "math/ops/tile.h"

namespace varve {
namespace {

constexpr int32_t kTileRows = 16, kTileColumns = 512;

void columns_back(Rows d, const Matrix& w, Rows dx, int32_t column, int32_t width) {
  alignas(64) float tile[kTileRows * kTileColumns];
  for (int32_t first = 0; first < w.rows; first += kTileRows) {
    const int32_t rows = std::min(kTileRows, w.rows - first);
    for (int32_t i = 0; i < rows; ++i) decode_part(w, first + i, column, width, tile + i * kTileColumns);
    for (int32_t j = 0; j < d.count(); ++j) {
      kernels().mix(RowsAccess::row(d, j) + first, size_t(rows), tile, kTileColumns, size_t(width),
                    RowsAccess::row(dx, j) + column);
    }
  }
}

}  // namespace

void Ops::matmul_back(Rows d, const Matrix& w, Rows dx, bool add) {
  check_matrix(w);
  CHECK(d.width() == w.rows && dx.width() == w.cols && d.count() == dx.count(), "shapes of a product");
  if (!add) {
    for (int32_t j = 0; j < dx.count(); ++j) std::fill_n(RowsAccess::row(dx, j), dx.width(), 0.f);
  }
  pool_.run((w.cols + kTileColumns - 1) / kTileColumns, [&](int64_t task) {
    const auto column = int32_t(task) * kTileColumns;
    columns_back(d, w, dx, column, std::min(kTileColumns, w.cols - column));
  });
}

}  // namespace varve
