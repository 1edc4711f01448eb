// y = x w^T for the rows of a text that is read. A block of x is packed once, on all threads, and stays near
// the core; weight rows come from their bytes in groups, on any thread. Sums are cut where the width of a
// block ends, wherever a text is cut.
#include <algorithm>

#include "math/ops/ops.h"
#include "math/ops/wide.h"

namespace varve {
namespace {

constexpr int32_t kWidth = 2048;  // of a block of x: whole panels, and whole blocks of every codec
constexpr int32_t kRows = int32_t(kWideRows), kGroup = int32_t(kWideWeights);
constexpr int32_t kSixteen = 16;
static_assert(kWidth / kPanel * kWideRows / kSixteen * sizeof(WideInputs) <= ThreadPool::kStagingBytes);

int32_t parts(int32_t values, int32_t of) {
  return (values + of - 1) / of;
}

struct Piece {
  int32_t row, rows, column, width;
};

// Weight rows as the product reads them: their bytes, or what a few become.
struct Unpacked {
  alignas(64) std::byte bytes[kGroup * kWidth * 2];
};
static_assert(sizeof(Unpacked) >= kGroup * panels_of(kWidth) * sizeof(BlockExpanded));

WeightRows weights_at(const Matrix& w, const Piece& at, Unpacked& room) {
  const auto rows = size_t(at.rows), width = size_t(at.width);
  if (w.codec->coded()) {
    auto* part = reinterpret_cast<uint16_t*>(room.bytes);
    for (size_t i = 0; i < rows; ++i)
      kernels().unpack_bf16(coded_row(w, at.row + int64_t(i)), size_t(at.column), width, part + i * width);
    return {part, 2 * width, rows, width};
  }
  if (const auto expand = expansion_of(*w.codec))
    return expand_rows(*expand, w, at.row, at.rows, at.column, at.width,
                       reinterpret_cast<BlockExpanded*>(room.bytes));
  const auto row_bytes = size_t(w.codec->bytes_for(w.cols));
  return {w.bytes.data() + size_t(at.row) * row_bytes + size_t(w.codec->bytes_for(at.column)), row_bytes,
          rows, width};
}

}  // namespace

void Ops::read_product(Rows x, const Matrix& w, Rows y, bool add) {
  const Wide wide = *wide_of(*w.codec);
  const int32_t block = kWidth / wide.inputs;
  auto* packed = reinterpret_cast<WideInputs*>(pool_.staging().data());
  if (w.cols == 0 && !add) fill(y, 0);
  for (int32_t from = 0; from < x.count(); from += kRows) {
    const int32_t count = std::min(kRows, x.count() - from), sixteens = parts(count, kSixteen);
    const Rows out = y.slice(from, count);
    for (int32_t column = 0; column < w.cols; column += block) {
      const int32_t width = std::min(block, w.cols - column);
      pool_.run(sixteens, [&](int64_t task) {
        const auto row = int32_t(task) * kSixteen;
        wide.pack(RowsAccess::row(x, from + row) + column, size_t(RowsAccess::stride(x)),
                  size_t(std::min(kSixteen, count - row)), size_t(width), packed + task, size_t(sixteens));
      });
      pool_.run(parts(w.rows, kGroup), [&](int64_t task) {
        const auto row = int32_t(task) * kGroup;
        Unpacked room;
        wide.multiply(weights_at(w, {row, std::min(kGroup, w.rows - row), column, width}, room), packed,
                      size_t(count), RowsAccess::row(out, 0) + row, size_t(RowsAccess::stride(out)),
                      add || column > 0);
      });
    }
  }
}

}  // namespace varve
