#include "learn/form/form.h"

#include <algorithm>

namespace varve {

Result<std::span<float>> Learnt::room(Ledger& ledger, size_t values) {
  made.push_back(TRY(Buffer::make(ledger, Tag::io, int64_t(values) * 4).with("writing the adapter")));
  return std::span(reinterpret_cast<float*>(made.back().bytes().data()), values);
}

Result<std::unique_ptr<Leaf>> AdapterSource::leaf(std::string_view role, int32_t rows, int32_t cols) {
  const WeightId id = store_.find(role);
  if (id == kNoWeight) return Status(Code::invalid, "the model has no " + std::string(role));
  const WeightEntry& entry = store_.entries()[id];
  if (entry.rows != rows || entry.cols != cols || entry.stack != 1) {
    return Status(Code::invalid, std::string(role) + " has not the shape that its model wants");
  }
  auto leaf = frozen_leaf(store_, id);
  const auto matches = [&](const std::string& pattern) { return role_matches(pattern, role); };
  if (std::none_of(on_.begin(), on_.end(), matches)) return leaf;
  weights_.push_back({std::string(role), rows, cols, entry.codec});
  const size_t before = parts_.size();
  auto over = TRY(
      form_->over(std::move(leaf), weights_.back(), parts_).with("learning over " + weights_.back().role));
  for (size_t i = before; i < parts_.size(); ++i) parts_[i].over_base = true;
  return over;
}

Result<Vector> AdapterSource::vector(std::string_view role, int32_t) {
  const WeightId id = store_.find(role);
  if (id == kNoWeight) return Status(Code::invalid, "the model has no " + std::string(role));
  return Vector{.frozen = TRY(store_.pin(id))};
}

}  // namespace varve
