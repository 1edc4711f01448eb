// y = x w^T for the rows of a text that is read. A block of x is packed once, on all threads, and stays near
// the core; weight rows come from their bytes in groups, on any thread. Sums are cut where the width of a
// block ends, wherever a text is cut.
#include <algorithm>

#include "math/ops/ops.h"
#include "math/ops/tile.h"

namespace varve {
namespace {

constexpr int32_t kWidth = 2048;  // of a block of x: whole panels, and whole blocks of every codec
constexpr int32_t kRows = int32_t(kWideRows), kGroup = int32_t(kWideWeights);
constexpr int32_t kSixteen = 16;
static_assert(kWidth / kPanel * kWideRows / kSixteen * sizeof(WideInputs) <= ThreadPool::kStagingBytes);

int32_t parts(int32_t values, int32_t of) {
  return (values + of - 1) / of;
}

void multiply(const Matrix& w, int32_t row, int32_t column, int32_t width, const WideInputs* x, Rows y,
              bool add) {
  const auto row_bytes = size_t(w.codec->bytes_for(w.cols));
  const std::byte* from = w.bytes.data() + size_t(row) * row_bytes + size_t(w.codec->bytes_for(column));
  const WeightRows some{from, row_bytes, size_t(std::min(kGroup, w.rows - row)), size_t(width)};
  kernels().multiply_wide[size_t(*w.codec->format())](some, x, size_t(y.count()), RowsAccess::row(y, 0) + row,
                                                      size_t(RowsAccess::stride(y)), add);
}

}  // namespace

void Ops::read_product(Rows x, const Matrix& w, Rows y, bool add) {
  auto* packed = reinterpret_cast<WideInputs*>(pool_.staging().data());
  if (w.cols == 0 && !add) fill(y, 0);
  for (int32_t from = 0; from < x.count(); from += kRows) {
    const int32_t count = std::min(kRows, x.count() - from), sixteens = parts(count, kSixteen);
    const Rows out = y.slice(from, count);
    for (int32_t column = 0; column < w.cols; column += kWidth) {
      const int32_t width = std::min(kWidth, w.cols - column);
      pool_.run(sixteens, [&](int64_t task) {
        const auto row = int32_t(task) * kSixteen;
        kernels().pack_wide(RowsAccess::row(x, from + row) + column, size_t(RowsAccess::stride(x)),
                            size_t(std::min(kSixteen, count - row)), size_t(width), packed + task,
                            size_t(sixteens));
      });
      pool_.run(parts(w.rows, kGroup), [&](int64_t task) {
        multiply(w, int32_t(task) * kGroup, column, width, packed, out, add || column > 0);
      });
    }
  }
}

}  // namespace varve
