// The second half of a merge of Spann: lists are written anew, and take the place of those before. What is
// removed meanwhile goes from both.
#include <numeric>

#include "core/base/hash.h"
#include "memory/recall/index/spann_next.h"

namespace varve::vector_index {
namespace {

std::string random_name() {
  std::array<std::byte, 8> random;
  secure_random(random);
  std::string name;
  for (std::byte one : random) name += "0123456789abcdef"[unsigned(one) % 16];
  return name;
}

}  // namespace

Status Spann::begin_writing(Next& next) const {
  next.starts.assign(next.centroids.count() + 1, 0);
  const auto each_place = [&](const auto& act) {
    for (uint32_t i = 0; i < next.moved.size(); ++i) {
      for (const uint32_t list : next.moved[i].places) {
        if (list != kNone) act(list, i);
      }
    }
  };
  each_place([&](uint32_t list, uint32_t) { ++next.starts[list + 1]; });
  std::partial_sum(next.starts.begin(), next.starts.end(), next.starts.begin());
  next.members.resize(next.starts.back());
  std::vector<uint32_t> at(next.starts.begin(), next.starts.end() - 1);
  each_place([&](uint32_t list, uint32_t i) { next.members[at[list]++] = i; });
  next.file = TRY(PostingFile::create(
      *ground_.env, ground_.folder + "/" + ground_.name + "." + random_name() + ".lists", ground_.width));
  next.home.assign(home_.size(), kNone);
  next.go_to(Next::Stage::writing);
  return {};
}

Status Spann::write(Next& next, int64_t& work) const {
  Records out;
  for (; next.at < next.centroids.count() && work > 0; ++next.at, work -= 2) {
    const uint32_t list = next.at;
    out.clear();
    if (next.stayed[list] != kNone) TRY(write_stayed(next, next.stayed[list], out));
    TRY(write_moved(next, list, out));
    for (size_t row = 0; row < out.slots.size(); ++row) {
      if (out.places[row][0] != list) continue;
      next.home[out.slots[row]] = list;
      ++next.kept;
    }
    TRY(next.file->append(out.view()));
  }
  if (next.at == next.centroids.count()) next.go_to(Next::Stage::done);
  return {};
}

// Where it lay, as far as those lists are still there.
Places Spann::kept_places(const Next& next, const Places& before) const {
  Places places = kNowhere;
  size_t used = 0;
  for (const uint32_t place : before) {
    if (place < lists() && next.now[place] != kNone) places[used++] = next.now[place];
  }
  return places;
}

Status Spann::write_stayed(Next& next, uint32_t former, Records& out) const {
  const View view = TRY(file_->read(former, next.stayed_room));
  for (size_t row = 0; row < view.slots.size(); ++row) {
    const uint32_t slot = view.slots[row];
    if (slot == kNone) continue;
    if (slot >= next.home.size() || view.places[row][0] >= lists()) return SnapshotReader::damaged();
    if (next.now[view.places[row][0]] == kNone) continue;  // it moves
    out.add(slot, kept_places(next, view.places[row]), row_of(view.halves, row));
  }
  return {};
}

Status Spann::write_moved(Next& next, uint32_t list, Records& out) const {
  for (uint32_t i = next.starts[list]; i < next.starts[list + 1]; ++i) {
    const Next::Moved& one = next.moved[next.members[i]];
    if (one.from == kNone) {
      if (fresh_.slots[one.row] == kNone) continue;
      out.add(fresh_.slots[one.row], one.places, row_of(fresh_.halves, one.row));
      continue;
    }
    if (one.from != next.open) next.source = TRY(file_->read(next.open = one.from, next.source_room));
    if (next.source.slots[one.row] == kNone) continue;
    if (next.source.slots[one.row] >= next.home.size()) return SnapshotReader::damaged();
    out.add(next.source.slots[one.row], one.places, row_of(next.source.halves, one.row));
  }
  return {};
}

// What goes while lists are written goes from those that are; the others find its record blank.
Status Spann::drop_from_next(uint32_t slot) {
  Next& next = *next_;
  if (next.stage != Next::Stage::writing || slot >= next.home.size()) return {};
  for (const uint32_t list : TRY(places_in_next(slot))) {
    if (list < next.at) TRY(next.file->blank(list, slot));
  }
  next.open = kNone;  // `source` has it still
  if (next.home[slot] == kNone) return {};
  next.home[slot] = kNone;
  --next.kept;
  return {};
}

Result<Places> Spann::places_in_next(uint32_t slot) const {
  uint32_t from = home_[slot], row = 0;
  Places before = kNowhere;
  if ((from & kFresh) != 0) {
    row = from & ~kFresh;
    from = kNone;
    if (!merging(row)) return kNowhere;
  } else {
    std::vector<std::byte> room;
    const View view = TRY(file_->read(from, room));
    row = uint32_t(std::find(view.slots.begin(), view.slots.end(), slot) - view.slots.begin());
    if (row == view.slots.size()) return kNowhere;
    before = view.places[row];
    if (next_->now[from] != kNone) return kept_places(*next_, before);
  }
  const auto found = std::lower_bound(
      next_->moved.begin(), next_->moved.end(), std::pair(from, row),
      [](const Next::Moved& one, const auto& key) { return std::pair(one.from, one.row) < key; });
  const bool moves = found != next_->moved.end() && found->from == from && found->row == row;
  return moves ? found->places : kNowhere;
}

void Spann::take_over(Next& next) {
  if (file_ && file_->saved())
    std::swap(file_, former_);  // a snapshot speaks of it until the next is written
  if (file_) file_->remove().ignore("a stranger is removed when the home opens");
  file_ = std::move(next.file);
  centroids_ = std::move(next.centroids);
  next.home.resize(home_.size(), kNone);
  home_ = std::move(next.home);
  kept_ = next.kept;
  const size_t merged = next.upto;
  fresh_ = {{fresh_.slots.begin() + int64_t(merged), fresh_.slots.end()},
            {fresh_.halves.begin() + int64_t(merged * ground_.width), fresh_.halves.end()},
            0};
  for (uint32_t row = 0; row < fresh_.slots.size(); ++row) home_[fresh_.slots[row]] = row | kFresh;
  room_slots_ = room_rows_ = 0;
}

Result<Reservation> Spann::meanwhile(size_t bytes) const {
  if (ground_.ledger == nullptr) return Reservation();
  return ground_.ledger->reserve(Tag::index, int64_t(bytes));
}

}  // namespace varve::vector_index
