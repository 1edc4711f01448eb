#include "run/weights/vectors.h"

namespace varve {

Result<Vectors> Vectors::read(std::span<const WeightEntry> entries, const File& file, Ledger& ledger) {
  Vectors vectors;
  int64_t total = 0;
  for (WeightId id = 0; id < entries.size(); ++id) {
    if (!is_vector(entries[id])) continue;
    vectors.at_[id] = total;
    total += (entries[id].bytes + 63) / 64 * 64;
  }
  vectors.buffer_ = TRY(Buffer::make(ledger, Tag::weights, total));
  for (const auto& [id, at] : vectors.at_) {
    const auto own = vectors.buffer_.bytes().subspan(size_t(at), size_t(entries[id].bytes));
    TRY(file.read(entries[id].offset, own).with("reading " + entries[id].role));
  }
  return vectors;
}

std::optional<WeightPin> Vectors::find(WeightId id, const WeightEntry& entry) const {
  const auto found = at_.find(id);
  if (found == at_.end()) return std::nullopt;
  const auto bytes = buffer_.bytes().subspan(size_t(found->second), size_t(entry.bytes));
  return WeightPin({entry.codec, bytes, entry.rows, entry.cols}, nullptr);
}

}  // namespace varve
