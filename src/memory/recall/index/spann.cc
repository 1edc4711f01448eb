// SPANN (Chen et al. 2021, "SPANN: Highly-efficient Billion-scale Approximate Nearest Neighbor Search"): the
// centroids of small lists in RAM, the lists on disk. A vector lies in every list that is nearly as near as
// its nearest and not behind another (closure with the RNG rule); a search reads the lists that are nearly as
// near to the query as the nearest. New vectors wait in RAM; when a sixteenth has come they are merged, each
// later add doing a slice of it, and lists that grew too long are split where they are (after SPFresh, Xu et
// al. 2023). A list is stored as f16.
#include "memory/recall/index/spann.h"

#include <cmath>

namespace varve::vector_index {

Status Spann::settle(const IndexGround& ground) {
  if (ground.env == nullptr) return Status(Code::unsupported, "spann needs a folder to be in");
  ground_ = ground;
  if (ground.ledger != nullptr) booked_ = TRY(ground.ledger->reserve(Tag::index, 0));
  return {};
}

Status Spann::add(uint32_t slot, std::span<const float> vector) {
  const size_t most = std::max(size_t(options_.wait), size() / 16);
  if (next_ == nullptr && fresh_.slots.size() - fresh_.blank >= most) TRY(begin_merge());
  if (next_ != nullptr) TRY(merge_some());
  TRY(book(std::max(home_.size(), size_t(slot) + 1), fresh_.slots.size() + 1));
  if (slot >= home_.size()) home_.resize(slot + 1, kNone);
  home_[slot] = uint32_t(fresh_.slots.size()) | kFresh;
  fresh_.slots.push_back(slot);
  fresh_.halves.resize(fresh_.halves.size() + vector.size());
  kernels().encode_f16(vector.data(), vector.size(),
                       fresh_.halves.data() + fresh_.halves.size() - vector.size());
  return {};
}

void Spann::remove(uint32_t slot) {
  if (slot >= home_.size() || home_[slot] == kNone) return;
  if (next_ != nullptr && !drop_from_next(slot).ok()) abandon_merge();
  if ((home_[slot] & kFresh) != 0) {
    drop_fresh(home_[slot] & ~kFresh);
  } else {
    if (!drop_from_lists(slot).ok()) lost_ = true;
    --kept_;
  }
  home_[slot] = kNone;
  if (size() == 0) clear();
}

void Spann::drop_fresh(uint32_t row) {
  const size_t last = fresh_.slots.size() - 1, width = ground_.width;
  if (merging(row)) {
    fresh_.slots[row] = kNone;
    std::fill_n(fresh_.halves.begin() + int64_t(row * width), width, uint16_t(0));
    ++fresh_.blank;
    return;
  }
  fresh_.slots[row] = fresh_.slots[last];  // the last one moves into the gap
  if (fresh_.slots[row] != kNone) home_[fresh_.slots[row]] = row | kFresh;
  std::copy_n(fresh_.halves.begin() + int64_t(last * width), width,
              fresh_.halves.begin() + int64_t(row * width));
  fresh_.slots.pop_back();
  fresh_.halves.resize(last * width);
}

Status Spann::drop_from_lists(uint32_t slot) {
  if (former_) {
    TRY(former_->remove());
    former_.reset();
  }
  std::vector<std::byte> room;
  const View view = TRY(file_->read(home_[slot], room));
  const auto found = std::find(view.slots.begin(), view.slots.end(), slot);
  if (found == view.slots.end()) return {};  // it went after the snapshot was written
  const Places places = view.places[size_t(found - view.slots.begin())];
  for (size_t i = PostingFile::kCopies; i-- > 0;) {  // its own list last: it knows the others
    if (places[i] == kNone) continue;
    if (places[i] >= lists()) return SnapshotReader::damaged();
    TRY(file_->blank(places[i], slot));
  }
  return {};
}

void Spann::clear() {
  abandon_merge();
  for (auto* file : {&file_, &former_}) {
    if (*file) (*file)->remove().ignore("its lists are empty, or a stranger's when the home opens");
    file->reset();
  }
  centroids_ = {};
  home_ = std::vector<uint32_t>();
  fresh_ = {};
  room_slots_ = room_rows_ = 0;
  if (ground_.ledger != nullptr) booked_.resize(0).ignore("it shrinks");
}

int64_t Spann::bytes() const {
  return centroids_.bytes() + (file_ ? file_->bytes() : 0) +
         int64_t(home_.capacity() * 4 + fresh_.slots.capacity() * 4 + fresh_.halves.capacity() * 2);
}

Status Spann::book(size_t slots, size_t rows) {
  if (slots <= room_slots_ && rows <= room_rows_) return {};
  const size_t slot_room = slots <= room_slots_ ? room_slots_ : slots + slots / 8 + 64;
  const size_t row_room = rows <= room_rows_ ? room_rows_ : rows + rows / 4 + 64;
  if (ground_.ledger != nullptr) {
    TRY(booked_.resize(centroids_.bytes() + (file_ ? file_->bytes() : 0) +
                       int64_t(slot_room * 4 + row_room * (ground_.width * 2 + 4))));
  }
  room_slots_ = slot_room;
  room_rows_ = row_room;
  home_.reserve(room_slots_);
  fresh_.slots.reserve(room_rows_);
  fresh_.halves.reserve(room_rows_ * ground_.width);
  return {};
}

Places Spann::places_for(const Centroids& centroids, std::span<const float> vector) const {
  Places places = kNowhere;
  const float own = kernels().dot(vector.data(), vector.data(), nullptr, vector.size());
  const auto near = centroids.nearby(vector, 12);
  const double reach = (1 + options_.copy) * (1 + options_.copy) * std::max(0.0f, near.front().first + own);
  size_t used = 0;
  for (const auto& [distance, list] : near) {
    if (used == places.size() || (used > 0 && distance + own > reach)) break;
    bool behind = false;  // nearer to a list that it is in already than to the vector
    for (size_t i = 0; i < used && !behind; ++i) behind = centroids.apart(list, places[i]) < distance + own;
    if (!behind) places[used++] = list;
  }
  return places;
}

size_t Spann::probed() const {
  return options_.probe > 0 ? size_t(options_.probe) : size_t(6 * std::sqrt(double(lists())));
}

Result<std::vector<VectorIndex::Near>> Spann::search(std::span<const float> query, int32_t k) const {
  if (lost_) return SnapshotReader::damaged();
  std::vector<Near> all;
  std::vector<uint64_t> seen((home_.size() + 63) / 64);
  std::vector<float> scores;
  const auto take = [&](std::span<const uint32_t> slots, std::span<const uint16_t> halves) {
    scores.resize(std::max(scores.size(), slots.size()));
    dot_rows(true, halves.data(), slots.size(), query, scores.data());
    for (size_t i = 0; i < slots.size(); ++i) {
      const uint32_t slot = slots[i];
      if (slot >= home_.size() || (seen[slot / 64] >> (slot % 64) & 1)) continue;
      seen[slot / 64] |= uint64_t(1) << (slot % 64);
      all.push_back({slot, scores[i]});
    }
  };
  take(fresh_.slots, fresh_.halves);
  const float own = kernels().dot(query.data(), query.data(), nullptr, query.size());
  const auto near = centroids_.nearest(query, probed());
  std::vector<std::byte> room;
  for (const auto& [distance, list] : near) {
    const double limit = (1 + options_.reach) * std::sqrt(std::max(0.0f, near.front().first + own));
    if (std::sqrt(std::max(0.0f, distance + own)) > limit && all.size() >= size_t(std::max(0, k))) break;
    const View view = TRY(file_->read(list, room));
    take(view.slots, view.halves);
  }
  keep_best(all, k);
  return all;
}

Status Spann::each(const Visit& visit) const {
  std::vector<std::byte> room;
  for (uint32_t list = 0; list < lists(); ++list) {
    const View view = TRY(file_->read(list, room));
    for (size_t row = 0; row < view.slots.size(); ++row) {
      const uint32_t slot = view.slots[row];
      if (slot >= home_.size() || home_[slot] != list) continue;
      TRY(visit(slot, wide(row_of(view.halves, row))));
    }
  }
  for (size_t row = 0; row < fresh_.slots.size(); ++row) {
    if (fresh_.slots[row] == kNone) continue;
    TRY(visit(fresh_.slots[row], wide(row_of(fresh_.halves, row))));
  }
  return {};
}

Status Spann::save(SnapshotWriter& out) const {
  if (lost_) return SnapshotReader::damaged();
  TRY(out.array(fresh_.slots));
  TRY(out.array(fresh_.halves));
  TRY(out.array(home_));
  TRY(centroids_.save(out));
  TRY(out.number(uint8_t(file_ != nullptr)));
  return file_ ? file_->save(out) : Status();
}

Status Spann::load(SnapshotReader& in) {
  TRY(in.array(fresh_.slots));
  TRY(in.array(fresh_.halves));
  TRY(in.array(home_));
  TRY(centroids_.load(in, ground_.width));
  if (fresh_.halves.size() != fresh_.slots.size() * ground_.width) return in.damaged();
  if (TRY(in.number<uint8_t>()) != 0) {
    file_ = TRY(PostingFile::open(*ground_.env, in, ground_.folder, ground_.width));
  }
  if ((file_ ? file_->lists() : 0) != lists()) return in.damaged();
  fresh_.blank = size_t(std::count(fresh_.slots.begin(), fresh_.slots.end(), kNone));
  size_t waiting = fresh_.blank;
  for (uint32_t slot = 0; slot < home_.size(); ++slot) {
    const uint32_t home = home_[slot], row = home & ~kFresh;
    if (home == kNone) continue;
    const bool waits = (home & kFresh) != 0;
    if (waits ? row >= fresh_.slots.size() || fresh_.slots[row] != slot : home >= lists())
      return in.damaged();
    waiting += waits;
    kept_ += !waits;
  }
  if (waiting != fresh_.slots.size()) return in.damaged();
  return book(home_.size(), fresh_.slots.size());
}

Made spann(const Spec& spec) {
  SpannOptions options;
  TRY(OptionReader(spec)
          .read("wait", options.wait, 1, 1 << 24)
          .read("probe", options.probe, 0, 100000)
          .read("reach", options.reach, 0.0, 10.0)
          .read("copy", options.copy, 0.0, 10.0)
          .done());
  return std::unique_ptr<VectorIndex>(new Spann(options));
}

}  // namespace varve::vector_index
