#include "run/weights/part_pool.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

#include "core/base/check.h"

namespace varve {
namespace {

int64_t blocks(int64_t bytes) {
  return (bytes + kDirectBytes - 1) / kDirectBytes * kDirectBytes;
}

// Of what stays, to the neurons that fire most: to read those costs more by the byte than what every token
// needs. As measured on the disk that docs/streaming.md has figures of.
constexpr int64_t kRowShare = 16;

// Steps of the golden ratio around a circle: those below any bound lie evenly over the pass.
uint32_t spread(uint32_t turn) {
  return turn * 2654435769u;
}

}  // namespace

int64_t PartPool::slot_bytes(int64_t largest_part) {
  return blocks(largest_part + kDirectBytes);
}

PartPool::PartPool(std::unique_ptr<File> file, std::string path, std::vector<FilePart> parts, Buffer ring,
                   const DiskRate& disk, Ledger& ledger)
    : file_(std::move(file)),
      path_(std::move(path)),
      parts_(std::move(parts)),
      piece_bytes_(disk.read_bytes),
      ring_(std::move(ring)),
      ledger_(ledger),
      places_(parts_.size()) {
  int64_t largest = 0;
  for (const FilePart& part : parts_) largest = std::max(largest, part.bytes);
  const auto each = size_t(slot_bytes(largest));
  for (size_t at = 0; at + each <= ring_.bytes().size(); at += each)
    slots_.push_back({.room = ring_.bytes().subspan(at, each)});
  CHECK(slots_.size() > 1, "a ring with room to read ahead");
  rank();
  ledger_.add_shrinker(this, true);
  for (int32_t i = 0; i < disk.readers; ++i) readers_.emplace_back([this] { work(); });
}

PartPool::~PartPool() {
  ledger_.remove_shrinker(this);
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  row_work_.notify_all();
  for (std::thread& one : readers_) one.join();
}

void PartPool::follow(std::vector<int32_t> order) {
  std::lock_guard lock(mutex_);
  if (order == order_) return;
  order_ = std::move(order);
  for (Place& place : places_) place.turn = -1;
  for (size_t turn = 0; turn < order_.size(); ++turn) places_[size_t(order_[turn])].turn = int32_t(turn);
  at_ = 0;
  rank();
  work_.notify_all();
}

// Those in the order first, spread over it; those that pass change nothing about the others.
void PartPool::rank() {
  by_rank_.resize(parts_.size());
  std::iota(by_rank_.begin(), by_rank_.end(), 0);
  std::vector<uint64_t> keys(parts_.size(), uint64_t(UINT32_MAX) + 1);
  uint32_t staying = 0;
  for (const int32_t part : order_) {
    if (!parts_[size_t(part)].passes) keys[size_t(part)] = spread(staying++);
  }
  const auto key = [&](int32_t part) { return keys[size_t(part)]; };
  std::stable_sort(by_rank_.begin(), by_rank_.end(), [&](int32_t a, int32_t b) { return key(a) < key(b); });
  for (size_t i = 0; i < by_rank_.size(); ++i) places_[size_t(by_rank_[i])].rank = int32_t(i);
  const int64_t for_rows = frames_ ? keep_ / kRowShare : 0;
  routed_room_ = keep_ - for_rows;
  for (keep_rank_ = 0; keep_rank_ < int32_t(by_rank_.size()); ++keep_rank_) {
    const int32_t part = by_rank_[size_t(keep_rank_)];
    if (places_[size_t(part)].turn < 0 || parts_[size_t(part)].passes) break;
    const int64_t bytes = parts_[size_t(part)].bytes;
    if (bytes > routed_room_) {
      routed_room_ = 0;
      break;
    }
    routed_room_ -= bytes;
  }
  routed_room_ += for_rows;
  routed_.clear();
  routed_bytes_ = 0;
  for (size_t part = 0; part < places_.size(); ++part) {
    const Place& place = places_[part];
    if (place.turn >= 0 || place.stays == nullptr) continue;
    routed_.push_back(int32_t(part));
    routed_bytes_ += place.stays->size();
  }
}

std::shared_ptr<const Buffer> PartPool::drop(int32_t part) {
  Place& place = places_[size_t(part)];
  counts_.resident_bytes -= place.stays->size();
  if (const auto routed = std::find(routed_.begin(), routed_.end(), part); routed != routed_.end()) {
    routed_bytes_ -= place.stays->size();
    routed_.erase(routed);
  }
  return std::move(place.stays);
}

// Makes room for it among those outside of the order. What is pinned stays.
bool PartPool::may_stay(int32_t part, std::vector<std::shared_ptr<const Buffer>>& gone) {
  const Place& place = places_[size_t(part)];
  if (place.turn >= 0) return place.rank < keep_rank_;
  const int64_t bytes = parts_[size_t(part)].bytes;
  if (bytes > routed_room_ || parts_[size_t(part)].passes) return false;
  for (bool cleared = false; routed_bytes_ + bytes > routed_room_;) {
    const auto leaves = std::find_if(routed_.begin(), routed_.end(), [&](int32_t one) {
      const Place& other = places_[size_t(one)];
      return (!other.marked || leaving_ == Leaving::oldest) && other.stays.use_count() == 1;
    });
    if (leaves != routed_.end()) {
      gone.push_back(drop(*leaves));
    } else if (std::exchange(cleared, true)) {
      return false;
    } else {
      for (const int32_t one : routed_) places_[size_t(one)].marked = false;
    }
  }
  return true;
}

void PartPool::keep(int64_t bytes) {
  std::vector<std::shared_ptr<const Buffer>> gone;  // given back after the lock
  std::lock_guard lock(mutex_);
  keep_ = bytes;
  rank();
  gone = leave();
  work_.notify_all();
}

void PartPool::route_by(Leaving leaving, bool ahead) {
  std::lock_guard lock(mutex_);
  leaving_ = leaving, ahead_ = ahead;
}

std::vector<std::shared_ptr<const Buffer>> PartPool::leave() {
  std::vector<std::shared_ptr<const Buffer>> gone;
  for (size_t part = 0; part < places_.size(); ++part) {
    const Place& place = places_[part];
    if (place.stays == nullptr || place.rank < keep_rank_) continue;
    if (place.turn >= 0 || routed_bytes_ > routed_room_) gone.push_back(drop(int32_t(part)));
  }
  while (frames_ && frames_->bytes() > routed_room_) {
    std::shared_ptr<const Buffer> chunk = frames_->drop_one();
    if (chunk == nullptr) break;
    counts_.resident_bytes -= chunk->size();
    gone.push_back(std::move(chunk));
  }
  return gone;
}

// What others need leaves from the highest rank down; it comes back when there is room again.
void PartPool::shrink(int64_t bytes) {
  std::vector<std::shared_ptr<const Buffer>> gone;
  std::lock_guard lock(mutex_);
  while (frames_ && bytes > 0) {
    std::shared_ptr<const Buffer> chunk = frames_->drop_one();
    if (chunk == nullptr) break;
    bytes -= chunk->size();
    counts_.resident_bytes -= chunk->size();
    gone.push_back(std::move(chunk));
  }
  for (auto part = by_rank_.rbegin(); part != by_rank_.rend() && bytes > 0; ++part) {
    Place& place = places_[size_t(*part)];
    if (place.stays == nullptr || place.stays.use_count() > 1) continue;
    bytes -= place.stays->size();
    gone.push_back(drop(*part));
  }
}

int64_t PartPool::keeps() const {
  std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const int32_t part : order_)
    if (!parts_[size_t(part)].passes && places_[size_t(part)].rank < keep_rank_)
      bytes += parts_[size_t(part)].bytes;
  return bytes;
}

bool PartPool::keeps(int32_t part) const {
  std::lock_guard lock(mutex_);
  return places_[size_t(part)].rank < keep_rank_;
}

StreamCounts PartPool::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

Result<PartPool::Taken> PartPool::take(int32_t part) {
  std::unique_lock lock(mutex_);
  Place& place = places_[size_t(part)];
  if (place.turn >= 0 && place.turn != at_) {
    at_ = place.turn;
    work_.notify_all();
  }
  place.failed = false;  // of an earlier try
  const auto there = [&] {
    return place.stays != nullptr || (place.slot >= 0 && slots_[size_t(place.slot)].fill == Fill::ready);
  };
  if (place.turn < 0 && !parts_[size_t(part)].passes) {
    place.marked = true;
    const auto own = std::find(routed_.begin(), routed_.end(), part);
    if (leaving_ == Leaving::oldest && own != routed_.end()) std::rotate(own, own + 1, routed_.end());
    counts_.routed_foreseen += std::exchange(place.expected, false);
    ++counts_.routed, counts_.routed_there += there();
  }
  if (!there()) {
    const auto start = std::chrono::steady_clock::now();
    ++place.wanted;
    wanted_.push_back(part);
    work_.notify_all();
    ready_.wait(lock, [&] { return there() || place.failed; });
    --place.wanted;
    wanted_.erase(std::find(wanted_.begin(), wanted_.end(), part));
    counts_.waited_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!there()) {
      place.failed = false;
      return place.problem.ok() ? Status(Code::io, path_ + " cannot be read") : std::move(place.problem);
    }
  }
  if (place.turn >= 0) at_ = (place.turn + 1) % int32_t(order_.size());
  return pin(part);
}

void PartPool::expect(std::vector<int32_t> parts) {
  std::lock_guard lock(mutex_);
  if (!ahead_) return;
  for (const int32_t part : expected_[0]) places_[size_t(part)].expected = false;
  expected_[0] = std::exchange(expected_[1], {});
  for (const int32_t part : parts) {
    Place& place = places_[size_t(part)];
    if (place.turn >= 0) continue;
    if (place.stays != nullptr) place.marked = true;
    if (!is_missing(part) || parts_[size_t(part)].bytes > routed_room_) continue;
    place.expected = true;
    expected_[1].push_back(part);
  }
  if (!expected_[1].empty()) work_.notify_all();
}

PartPool::Taken PartPool::pin(int32_t part) {
  Place& place = places_[size_t(part)];
  if (place.stays != nullptr) return {place.stays->bytes(), place.stays};
  const int32_t index = place.slot;
  Slot& slot = slots_[size_t(index)];
  ++slot.pins;
  return {slot.room.subspan(size_t(slot.shift), size_t(parts_[size_t(part)].bytes)),
          std::shared_ptr<const void>(&slot, [this, index](const void*) { release(index); })};
}

void PartPool::release(int32_t index) {
  std::lock_guard lock(mutex_);
  Slot& slot = slots_[size_t(index)];
  if (--slot.pins > 0) return;
  places_[size_t(slot.part)].slot = -1;
  slot.part = -1, slot.fill = Fill::free;
  work_.notify_one();
}

Result<PartPool::Taken> PartPool::read_alone(int32_t part, FilePart what) {
  const FilePart& whole = parts_[size_t(part)];
  if (what.offset + what.bytes <= whole.offset + whole.bytes) {
    std::lock_guard lock(mutex_);
    if (const std::shared_ptr<const Buffer>& stays = places_[size_t(part)].stays)
      return Taken{stays->bytes().subspan(size_t(what.offset - whole.offset), size_t(what.bytes)), stays};
  }
  auto buffer = std::make_shared<Buffer>(
      TRY(Buffer::make(ledger_, Tag::weights, slot_bytes(what.bytes) + kDirectBytes)));
  const size_t skipped = -reinterpret_cast<uintptr_t>(buffer->bytes().data()) % size_t(kDirectBytes);
  const auto room = buffer->bytes().subspan(skipped, size_t(slot_bytes(what.bytes)));
  TRY(read(what, room));
  return Taken{room.subspan(size_t(what.offset % kDirectBytes), size_t(what.bytes)), buffer};
}

}  // namespace varve
