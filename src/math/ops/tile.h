// Decoded pieces of a matrix, on the stack of whoever works on them.
#pragma once

#include <cstring>

#include "math/codec/expansion.h"
#include "math/ops/access.h"

namespace varve {

inline std::span<const std::byte> row_of(const Matrix& w, int64_t row) {
  const auto bytes = size_t(w.codec->bytes_for(w.cols));
  return w.bytes.subspan(size_t(row) * bytes, bytes);
}

// Decodes values [first, first + n) of a row; both are multiples of the codec's block, or of 64 where
// that is a row.
inline void decode_part(const Matrix& w, int64_t row, int64_t first, int64_t n, float* out) {
  w.codec->decode_part(row_of(w, row), size_t(first), {out, size_t(n)});
}

// As which numbers rows go straight into sums, where they do.
inline std::optional<Format> multiplied_as(const Codec& codec) {
  return codec.coded() ? Format::bf16 : codec.format();
}

constexpr size_t panels_of(int64_t values) {
  return (size_t(values) + kPanel - 1) / kPanel;
}
// Values [first, first + n) of some rows, whole blocks of the codec, as rows of so many blocks.
inline WeightRows expand_rows(const Expansion& expand, const Matrix& w, int64_t row, int64_t rows,
                              int64_t first, int64_t n, BlockExpanded* out) {
  const size_t blocks = panels_of(n);
  const int64_t row_bytes = w.codec->bytes_for(w.cols);
  const std::byte* from = w.bytes.data() + row * row_bytes + w.codec->bytes_for(first);
  for (int64_t i = 0; i < rows; ++i, from += row_bytes) expand(from, size_t(n), out + size_t(i) * blocks);
  return {out, blocks * sizeof(BlockExpanded), size_t(rows), blocks * kPanel};
}

inline CodedRow coded_row(const Matrix& w, int64_t row) {
  return {row_of(w, row).data(), size_t(w.codec->bytes_for(w.cols)), size_t(w.cols)};
}

inline void check_matrix(const Matrix& w) {
  CHECK(!w.empty() && w.rows >= 0 && w.cols >= 0 && w.cols % int64_t(w.codec->block_values()) == 0,
        "a matrix row is whole blocks");
  CHECK(int64_t(w.bytes.size()) >= w.codec->bytes_for(int64_t(w.rows) * w.cols), "a matrix is too short");
}

}  // namespace varve
