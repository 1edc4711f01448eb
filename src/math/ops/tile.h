// Decoded pieces of a matrix, on the stack of whoever works on them.
#pragma once

#include <cstring>

#include "math/codec/dgq4.h"
#include "math/kernel/kernel.h"
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

inline std::optional<Format> multiplied_as(const Codec& codec) {
  if (is_dual(codec)) return Format::q8_0;
  return codec.coded() ? Format::bf16 : codec.format();
}

// Values [first, first + n) of a row of dual grain, whole blocks of it, as q8_0.
inline void expand_part(const Matrix& w, int64_t row, int64_t first, int64_t n, std::byte* out) {
  expand_dual(row_of(w, row).data() + w.codec->bytes_for(first), size_t(n), out);
}
constexpr size_t q8_bytes(int64_t values) {
  return size_t(values) / 32 * sizeof(BlockQ8_0);
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
