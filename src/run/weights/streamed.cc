// Weights that stay in their file: a matrix is read when it is pinned, and kept while there is room. What is
// kept is counted in a ledger of the store's own, whose limit is booked in the process's once.
#include <algorithm>
#include <list>
#include <map>
#include <mutex>

#include "run/weights/vectors.h"

namespace varve {
namespace {

constexpr int64_t kTableRows = 32768;   // of words, read at a time
constexpr int64_t kAround = 2ll << 20;  // single rows and what a pass holds beside its matrix

class StreamedWeights : public WeightStore {
 public:
  StreamedWeights(std::vector<WeightEntry> entries, std::unique_ptr<File> file, Vectors vectors,
                  Reservation booked)
      : entries_(std::move(entries)),
        file_(std::move(file)),
        vectors_(std::move(vectors)),
        booked_(std::move(booked)),
        room_(booked_.bytes()) {
    for (WeightId id = 0; id < entries_.size(); ++id) ids_[entries_[id].role] = id;
  }

  std::span<const WeightEntry> entries() const override { return entries_; }
  WeightId find(std::string_view role) const override {
    const auto found = ids_.find(role);
    return found == ids_.end() ? kNoWeight : found->second;
  }
  bool streams() const override { return true; }
  void hint(std::span<const WeightId>) const override {}  // the system reads ahead
  int64_t resident_bytes() const override { return booked_.bytes() + vectors_.bytes(); }

  Result<WeightPin> pin(WeightId id, int32_t of_stack) const override {
    CHECK(id < entries_.size(), "no such weight");
    const WeightEntry& entry = entries_[id];
    CHECK(of_stack >= 0 && of_stack < entry.stack, "no such matrix in the stack");
    if (auto vector = vectors_.find(id, entry)) return *std::move(vector);
    return stretch(id, of_stack * entry.rows, entry.rows);
  }
  Result<WeightPin> pin_rows(WeightId id, int32_t first, int32_t count) const override {
    CHECK(id < entries_.size() && entries_[id].stack == 1, "rows of one matrix");
    CHECK(first >= 0 && count > 0 && first + count <= entries_[id].rows, "no such rows");
    if (is_vector(entries_[id])) return pin(id, 0);
    return stretch(id, first, count);
  }

 private:
  struct Place {  // rows of one matrix; of a stack they are counted on
    WeightId id;
    int32_t first, count;
    auto operator<=>(const Place&) const = default;
  };
  struct Kept {
    Place place;
    std::shared_ptr<const Buffer> bytes;
  };

  Result<WeightPin> stretch(WeightId id, int32_t first, int32_t count) const {
    const WeightEntry& entry = entries_[id];
    std::lock_guard lock(mutex_);
    const Place place{id, first, count};
    auto found =
        std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) { return one.place == place; });
    if (found == kept_.end()) {
      const int64_t row = entry.codec->bytes_for(entry.cols);
      Buffer bytes = TRY(room_for(row * count).with("reading " + entry.role));
      TRY(file_->read(entry.offset + row * first, bytes.bytes()).with("reading " + entry.role));
      kept_.push_front({place, std::make_shared<const Buffer>(std::move(bytes))});
    } else {
      kept_.splice(kept_.begin(), kept_, found);
    }
    const auto& held = kept_.front().bytes;
    return WeightPin({entry.codec, held->bytes(), count, entry.cols}, held);
  }

  // The least recently used goes until there is room; what is pinned stays.
  Result<Buffer> room_for(int64_t bytes) const {
    for (auto last = kept_.end(); room_.used() + bytes > room_.limit() && last != kept_.begin();) {
      --last;
      if (last->bytes.use_count() == 1) last = kept_.erase(last);
    }
    return Buffer::make(room_, Tag::weights, bytes);
  }

  std::vector<WeightEntry> entries_;
  std::unique_ptr<File> file_;
  std::map<std::string, WeightId, std::less<>> ids_;
  Vectors vectors_;
  Reservation booked_;
  mutable std::mutex mutex_;
  mutable Ledger room_;
  mutable std::list<Kept> kept_;  // newest use first
};

// The largest matrix, of tables of words some rows.
int64_t least_bytes(const std::vector<WeightEntry>& entries) {
  int64_t least = 0;
  for (const WeightEntry& entry : entries) {
    const bool table = entry.role == "token_embd" || entry.role == "output";
    const int64_t rows = table ? std::min<int64_t>(entry.rows, kTableRows) : entry.rows;
    least = std::max(least, entry.codec->bytes_for(entry.cols) * rows);
  }
  return least + kAround;
}

}  // namespace

Result<std::unique_ptr<WeightStore>> open_streamed_weights(Env& env, const std::string& path,
                                                           const Gguf& gguf, Ledger& ledger,
                                                           int64_t keep_bytes) {
  auto entries = TRY(list_weights(gguf).with("listing the weights of " + path));
  const int64_t keep = std::max(keep_bytes, least_bytes(entries));
  auto booked = TRY(ledger.reserve(Tag::weights, keep).with("streaming the weights of " + path));
  auto file = TRY(env.open(path, Open::read));
  for (const WeightEntry& entry : entries) {
    if (entry.offset + entry.bytes > TRY(file->size())) return Status(Code::corrupt, path + " is cut short");
  }
  Vectors vectors = TRY(Vectors::read(entries, *file, ledger).with("loading " + path));
  return std::unique_ptr<WeightStore>(
      new StreamedWeights(std::move(entries), std::move(file), std::move(vectors), std::move(booked)));
}

}  // namespace varve
