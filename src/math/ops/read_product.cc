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

struct Piece {
  int32_t row, rows, column, width;
};

void multiply_bytes(Format format, const WeightRows& some, const Piece& at, const WideInputs* x, Rows y,
                    bool add) {
  kernels().multiply_wide[size_t(format)](some, x, size_t(y.count()), RowsAccess::row(y, 0) + at.row,
                                          size_t(RowsAccess::stride(y)), add);
}

void multiply_coded(const Matrix& w, const Piece& at, const WideInputs* x, Rows y, bool add) {
  alignas(64) uint16_t part[kGroup * kWidth];
  const auto width = size_t(at.width);
  for (int32_t i = 0; i < at.rows; ++i)
    kernels().unpack_bf16(coded_row(w, at.row + i), size_t(at.column), width, part + size_t(i) * width);
  multiply_bytes(Format::bf16, {part, 2 * width, size_t(at.rows), width}, at, x, y, add);
}

void multiply_dual(const Matrix& w, const Piece& at, const WideInputs* x, Rows y, bool add) {
  std::byte part[kGroup * q8_bytes(kWidth)];
  const size_t bytes = q8_bytes(at.width);
  for (int32_t i = 0; i < at.rows; ++i)
    expand_part(w, at.row + i, at.column, at.width, part + size_t(i) * bytes);
  multiply_bytes(Format::q8_0, {part, bytes, size_t(at.rows), size_t(at.width)}, at, x, y, add);
}

void multiply(const Matrix& w, const Piece& at, const WideInputs* x, Rows y, bool add) {
  if (w.codec->coded()) return multiply_coded(w, at, x, y, add);
  if (is_dual(*w.codec)) return multiply_dual(w, at, x, y, add);
  const auto row_bytes = size_t(w.codec->bytes_for(w.cols));
  const std::byte* from = w.bytes.data() + size_t(at.row) * row_bytes + size_t(w.codec->bytes_for(at.column));
  multiply_bytes(*w.codec->format(), {from, row_bytes, size_t(at.rows), size_t(at.width)}, at, x, y, add);
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
        const auto row = int32_t(task) * kGroup;
        multiply(w, {row, std::min(kGroup, w.rows - row), column, width}, packed, out, add || column > 0);
      });
    }
  }
}

}  // namespace varve
