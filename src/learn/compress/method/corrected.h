// Rounding a row so that what is left takes over each error: the inner loop of gptq, and where others start.
#pragma once

#include <vector>

#include "learn/compress/compressor.h"
#include "learn/compress/method/round.h"

namespace varve {

struct RowCodes {
  std::vector<codec::Line> lines;  // one a group
  std::vector<uint8_t> codes;      // one a value
};

class Corrected : public Rounder {
 public:
  // factor: U of the inverse U^T U of the second moments, upper, [cols][cols].
  Corrected(const Codec& codec, const Grid& grid, Buffer factor, size_t cols);
  void round(std::span<const float> rows, std::span<std::byte> bytes) const override;
  // One row, which is used up; `into` has room for it.
  void row(std::span<float> x, std::span<std::byte> bytes, RowCodes& into) const;

 private:
  const float* behind(size_t i) const {
    return reinterpret_cast<const float*>(factor_.bytes().data()) + i * cols_;
  }
  void block(std::span<float> x, size_t at, size_t end, std::byte* block, RowCodes& into,
             std::span<float> errors) const;

  const Codec& codec_;
  const Grid& grid_;
  Buffer factor_;
  size_t cols_;
  std::vector<float> importance_;
};

// Null: the format has no grid, or nobody counted the products of these inputs.
Result<std::unique_ptr<Corrected>> make_corrected(const Weight& weight, const Seen& seen, float damp,
                                                  Ops& ops, Ledger& ledger);

}  // namespace varve
