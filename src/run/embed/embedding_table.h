// EmbeddingTable: the rows of a safetensors file of token vectors (model2vec, sentence-transformers), kept as
// the file has them: I8, F16, BF16 or F32. A table that the budget cannot hold stays in its file and is read
// row by row.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/budget/buffer.h"
#include "core/format/safetensors.h"
#include "core/io/env.h"

namespace varve {

class EmbeddingTable {
 public:
  // Tensors: "embeddings" [rows][width] (or "embedding.weight"); of each token, where there are such,
  // "weights" (how much it counts: SIF) and "mapping" (its row). Booked under Tag::index.
  static Result<EmbeddingTable> open(Env& env, const std::string& path, Ledger& ledger);

  int width() const { return width_; }
  int64_t tokens() const { return mapping_.empty() ? rows_ : int64_t(mapping_.size()); }
  bool resident() const { return file_ == nullptr; }
  // sum += weight of the token * its vector; one that the table does not know adds nothing.
  Status add(int64_t token, std::span<float> sum) const;

 private:
  enum class Kind : uint8_t { i8, f16, bf16, f32 };
  Status read_head(const SafeTensors& tensors);
  Status read_tokens(const SafeTensors& tensors, std::span<const std::byte> file);

  Kind kind_ = Kind::f32;
  int width_ = 0;
  int64_t rows_ = 0, row_bytes_ = 0, offset_ = 0;
  Buffer table_;                // or
  std::unique_ptr<File> file_;  // where it did not fit
  std::vector<float> weights_;
  std::vector<int32_t> mapping_;
  Reservation booked_;  // of these two
};

}  // namespace varve
