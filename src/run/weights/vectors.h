// The vectors of a model whose matrices are elsewhere: norms and biases, read once.
#pragma once

#include <map>
#include <optional>

#include "core/budget/buffer.h"
#include "run/weights/weight_store.h"

namespace varve {

class Vectors {
 public:
  static Result<Vectors> read(std::span<const WeightEntry> entries, const File& file, Ledger& ledger);
  std::optional<WeightPin> find(WeightId id, const WeightEntry& entry) const;
  int64_t bytes() const { return buffer_.size(); }

 private:
  std::map<WeightId, int64_t> at_;
  Buffer buffer_;
};

inline bool is_vector(const WeightEntry& entry) {
  return entry.rows == 1 && entry.stack == 1;
}

}  // namespace varve
