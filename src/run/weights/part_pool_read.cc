// The reading side of a PartPool: what its threads do.
#include <algorithm>
#include <cstring>
#include <limits>

#include "run/weights/part_pool.h"

namespace varve {
namespace {

int64_t blocks(int64_t bytes) {
  return (bytes + kDirectBytes - 1) / kDirectBytes * kDirectBytes;
}

}  // namespace

void PartPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::optional<Errand> errand;
    work_.wait(lock, [&] { return stopping_ || (errand = next_errand()).has_value(); });
    if (stopping_) return;
    lock.unlock();
    Status read = read_piece(*errand, slots_[size_t(errand->slot)].room);
    lock.lock();
    end(*errand, std::move(read), lock);
  }
}

bool PartPool::is_missing(int32_t part) const {
  const Place& place = places_[size_t(part)];
  return place.stays == nullptr && place.slot < 0 && !place.failed;
}

// What somebody waits for, then what the pass comes to next.
std::optional<PartPool::Errand> PartPool::next_errand() {
  for (const int32_t part : wanted_) {
    if (auto errand = errand_for(part, 0)) return errand;
    const bool held = std::all_of(slots_.begin(), slots_.end(), [](const Slot& one) { return one.pins > 0; });
    if (!held || !is_missing(part)) continue;  // a read under way ends soon
    Place& place = places_[size_t(part)];
    place.failed = true;
    place.problem = Status(Code::over_budget, "too many weights are in use at a time for the room to stream");
    ready_.notify_all();
  }
  for (const auto& call : expected_) {
    for (const int32_t part : call) {  // in slots that are free: what a pass needs soon is not thrown out
      if (!places_[size_t(part)].expected) continue;
      if (auto errand = errand_for(part, std::numeric_limits<int32_t>::max())) return errand;
    }
  }
  const auto count = int32_t(order_.size());
  for (int32_t ahead = 0; ahead < count; ++ahead) {
    const int32_t part = order_[size_t((at_ + ahead) % count)];
    if (auto errand = errand_for(part, ahead)) return errand;
    if (is_missing(part)) break;  // no slot for this one, so for none beyond
  }
  return std::nullopt;
}

// The next piece of a part, in the slot that it has or in one of what is needed later than it.
std::optional<PartPool::Errand> PartPool::errand_for(int32_t part, int32_t distance) {
  if (is_missing(part)) {
    const int32_t slot = slot_within(distance);
    if (slot < 0) return std::nullopt;
    begin(part, slot);
  }
  const int32_t index = places_[size_t(part)].slot;
  if (index < 0) return std::nullopt;
  Slot& slot = slots_[size_t(index)];
  if (slot.fill != Fill::reading || slot.begun == slot.pieces) return std::nullopt;
  return Errand{part, index, slot.begun++};
}

void PartPool::begin(int32_t part, int32_t index) {
  Slot& slot = slots_[size_t(index)];
  const FilePart& what = parts_[size_t(part)];
  slot.part = part, slot.fill = Fill::reading;
  slot.shift = what.offset % kDirectBytes;
  slot.pieces = int32_t((slot.shift + what.bytes + piece_bytes_ - 1) / piece_bytes_);
  slot.begun = slot.ended = 0, slot.broken = false;
  places_[size_t(part)].slot = index;
}

int32_t PartPool::distance(int32_t part) const {
  const auto count = int32_t(order_.size());
  const int32_t turn = places_[size_t(part)].turn;
  return turn < 0 ? count : (turn - at_ + count) % count;
}

// A free slot, or that of what is needed last, if that is further than what would come. What is read in part
// gives way as well, else jumps of the pass could leave every slot begun and none to end.
int32_t PartPool::slot_within(int32_t most_distance) {
  int32_t best = -1, furthest = most_distance;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.fill == Fill::free) return int32_t(i);
    const bool rests = slot.fill == Fill::ready || (slot.begun == slot.ended && slot.ended < slot.pieces);
    if (!rests || slot.pins > 0 || places_[size_t(slot.part)].wanted > 0) continue;
    if (distance(slot.part) > furthest) best = int32_t(i), furthest = distance(slot.part);
  }
  if (best >= 0) {
    Slot& slot = slots_[size_t(best)];
    places_[size_t(slot.part)].slot = -1;
    slot.part = -1, slot.fill = Fill::free;
  }
  return best;
}

Status PartPool::read_piece(Errand errand, std::span<std::byte> room) const {
  const FilePart& part = parts_[size_t(errand.part)];
  const int64_t begin = part.offset / kDirectBytes * kDirectBytes + errand.piece * piece_bytes_;
  const int64_t from = std::max(begin, part.offset);
  const int64_t end = std::min(begin + piece_bytes_, part.offset + part.bytes);
  return read({from, end - from}, room.subspan(size_t(errand.piece * piece_bytes_)));
}

Status PartPool::cut_short(const std::string& path, int64_t at) {
  return Status(Code::corrupt, path + " ends at " + std::to_string(at) +
                                   ": it was cut short while its weights were read from it");
}

Status PartPool::read(FilePart what, std::span<std::byte> room) const {
  const int64_t begin = what.offset / kDirectBytes * kDirectBytes;
  const int64_t wanted = what.offset - begin + what.bytes;
  const int64_t got = TRY(file_->read_up_to(begin, room.first(size_t(blocks(wanted)))));
  return got >= wanted ? Status() : cut_short(path_, begin + got);
}

// Null when there is no room: then it is streamed as the others.
std::shared_ptr<const Buffer> PartPool::copy(std::span<const std::byte> bytes) {
  if (ledger_.limit() - ledger_.used() < int64_t(bytes.size())) return nullptr;
  auto made = Buffer::make(ledger_, Tag::weights, int64_t(bytes.size()));
  if (!made.ok()) return nullptr;
  std::memcpy(made->bytes().data(), bytes.data(), bytes.size());
  return std::make_shared<const Buffer>(std::move(made).value());
}

// Of a piece; the last one ends the part. After a failure no further piece begins.
void PartPool::end(Errand errand, Status read, std::unique_lock<std::mutex>& lock) {
  Slot& slot = slots_[size_t(errand.slot)];
  Place& place = places_[size_t(errand.part)];
  if (!read.ok()) {
    slot.broken = true;
    slot.pieces = slot.begun;
    place.problem = std::move(read);
  }
  if (++slot.ended < slot.pieces) return;
  place.failed = slot.broken;
  const int64_t bytes = parts_[size_t(errand.part)].bytes;
  std::shared_ptr<const Buffer> kept;
  std::vector<std::shared_ptr<const Buffer>> gone;
  if (!place.failed && may_stay(errand.part, gone)) {
    lock.unlock();
    gone.clear();
    kept = copy(slot.room.subspan(size_t(slot.shift), size_t(bytes)));
    lock.lock();
  }
  counts_.read_bytes += bytes, ++counts_.reads;
  slot.fill = Fill::ready;
  if (kept != nullptr && place.stays == nullptr && may_stay(errand.part, gone)) {
    counts_.resident_bytes += kept->size();
    if (place.turn < 0) routed_.push_back(errand.part), routed_bytes_ += kept->size();
    place.stays = std::move(kept);
  }
  if (place.stays == nullptr && place.wanted == 0) place.expected = false;  // no room: not read again for it
  if (place.stays != nullptr || place.failed) {
    place.slot = -1;
    slot.part = -1, slot.fill = Fill::free;
  }
  work_.notify_all();
  ready_.notify_all();
}

}  // namespace varve
