// df11: bf16 without loss in about 11 of 16 bits, after DFloat11 (Zhang et al. 2025): of a weight's exponents
// a few are frequent. Seven in a row, chosen for each row of the matrix, have a code of three bits; the
// others follow it as they are. All rows of a matrix take the same bytes, as many as the row with most others
// needs: so a block is a row, and each weight has a codec of its own.
#pragma once

#include <memory>

#include "math/codec/codec.h"

namespace varve {

class Df11 final : public Codec {
 public:
  static constexpr int64_t kGroup = 64;  // a row is whole groups
  static int64_t row_bytes(int64_t cols, int64_t others);
  // Exponents of a row, rounded to bf16, that have no code.
  static int64_t others(std::span<const float> row);
  // invalid: a row that is no whole groups, or bytes that it cannot take.
  static Result<std::shared_ptr<const Codec>> make(int64_t cols, int64_t row_bytes);

  std::string_view name() const override { return "df11"; }
  size_t block_values() const override { return cols_; }
  size_t block_bytes() const override { return bytes_; }
  // Exact where values are bf16 and the row has room for its others; those beyond get the nearest exponent
  // that has a code.
  void encode(std::span<const float> values, std::span<std::byte> bytes) const override;
  void decode(std::span<const std::byte> bytes, std::span<float> values) const override;
  void decode_part(std::span<const std::byte> row, size_t first, std::span<float> values) const override;
  bool coded() const override { return true; }

 private:
  Df11(size_t cols, size_t bytes) : cols_(cols), bytes_(bytes) {}
  void encode_row(const float* values, unsigned char* to) const;
  const size_t cols_, bytes_;  // of a row
};

}  // namespace varve
