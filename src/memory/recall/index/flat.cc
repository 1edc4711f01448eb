// Flat: every vector compared with every query. Exact: the oracle of the others, and the fastest up to tens
// of thousands.
#include "memory/recall/index/vector_index.h"

namespace varve::vector_index {
namespace {

class Flat : public VectorIndex {
 public:
  Status settle(const IndexGround& ground) override {
    ground_ = ground;
    if (ground.ledger != nullptr) booked_ = TRY(ground.ledger->reserve(Tag::index, 0));
    return {};
  }

  Status add(uint32_t slot, std::span<const float> vector) override {
    TRY(room_for(size() + 1));
    row_of_.resize(std::max(row_of_.size(), size_t(slot) + 1), kNone);
    row_of_[slot] = uint32_t(slots_.size());
    slots_.push_back(slot);
    values_.insert(values_.end(), vector.begin(), vector.end());
    return {};
  }

  void remove(uint32_t slot) override {  // the last row moves into the gap
    if (slot >= row_of_.size() || row_of_[slot] == kNone) return;
    const size_t row = row_of_[slot], last = size() - 1, width = ground_.width;
    std::copy_n(values_.begin() + int64_t(last * width), width, values_.begin() + int64_t(row * width));
    slots_[row] = slots_[last];
    row_of_[slots_[row]] = uint32_t(row);
    row_of_[slot] = kNone;
    slots_.pop_back();
    values_.resize(last * width);
    if (last != 0) return;
    slots_ = std::vector<uint32_t>();
    row_of_ = std::vector<uint32_t>();
    values_ = std::vector<float>();
  }

  Result<std::vector<Near>> search(std::span<const float> query, int32_t k) const override {
    std::vector<float> scores(size());
    dot_rows(false, values_.data(), size(), query, scores.data());
    std::vector<Near> all(size());
    for (size_t row = 0; row < size(); ++row) all[row] = {slots_[row], scores[row]};
    keep_best(all, k);
    return all;
  }

  Status each(const Visit& visit) const override {
    for (size_t row = 0; row < size(); ++row) {
      TRY(visit(slots_[row], std::span(values_).subspan(row * ground_.width, ground_.width)));
    }
    return {};
  }

  size_t size() const override { return slots_.size(); }
  int64_t bytes() const override {
    return int64_t(values_.capacity() * 4 + slots_.capacity() * 4 + row_of_.capacity() * 4);
  }

  Status save(SnapshotWriter& out) const override {
    TRY(out.array(slots_));
    return out.array(values_);
  }
  Status load(SnapshotReader& in) override {
    std::vector<uint32_t> slots;
    TRY(in.array(slots));
    TRY(room_for(slots.size()));
    TRY(in.array(values_));
    if (values_.size() != slots.size() * ground_.width) return SnapshotReader::damaged();
    for (uint32_t slot : slots) {
      if (slot >= kMaxSlots) return SnapshotReader::damaged();
      row_of_.resize(std::max(row_of_.size(), size_t(slot) + 1), kNone);
      if (row_of_[slot] != kNone) return SnapshotReader::damaged();
      row_of_[slot] = uint32_t(slots_.size());
      slots_.push_back(slot);
    }
    return {};
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX, kMaxSlots = 1u << 30;

  // Booked before it grows, by an eighth at a time: a search index must not double at the budget's edge.
  Status room_for(size_t rows) {
    if (rows <= slots_.capacity()) return {};
    const size_t room = std::max<size_t>(64, rows + rows / 8);
    if (ground_.ledger != nullptr) TRY(booked_.resize(int64_t(room * (ground_.width * 4 + 12))));
    slots_.reserve(room);
    values_.reserve(room * ground_.width);
    row_of_.reserve(room);
    return {};
  }

  IndexGround ground_;
  Reservation booked_;
  std::vector<uint32_t> slots_;   // by row
  std::vector<uint32_t> row_of_;  // by slot
  std::vector<float> values_;
};

}  // namespace

Made flat(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<VectorIndex>(new Flat);
}

}  // namespace varve::vector_index
