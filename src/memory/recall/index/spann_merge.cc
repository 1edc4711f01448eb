// How the vectors that wait come to their lists, and how lists that grew too long are split. Everything is
// made beside what there is and takes its place at the end: a merge that fails changes nothing.
#include <numeric>

#include "core/base/hash.h"
#include "memory/recall/index/spann.h"

namespace varve::vector_index {
namespace {
constexpr size_t kLongest = 160;  // records of a list that stays as it is
constexpr size_t kPart = 64;      // of a list that is cut: vectors of each part, at most

std::string random_name() {
  std::array<std::byte, 8> random;
  secure_random(random);
  std::string name;
  for (std::byte one : random) name += "0123456789abcdef"[unsigned(one) % 16];
  return name;
}
}  // namespace

// What there will be. A vector moves when it is new or when its own list was cut.
struct Spann::Next {
  struct Moved {
    uint32_t from, row;  // a list of before and a row there; kNone: a row of what waits
    Places places;
  };
  Reservation room, more;
  Centroids centroids;
  std::vector<uint32_t> now;     // of each list of before: its number, or kNone when it was cut
  std::vector<uint32_t> stayed;  // of each list: its number before, or kNone
  std::vector<Moved> moved;
  std::vector<uint32_t> starts, members;  // of each list: which of moved come to it
  std::unique_ptr<PostingFile> file;
  std::vector<uint32_t> home;
  size_t kept = 0;
  uint32_t open = kNone;  // the list of before that `source` holds
  View source;
  std::vector<std::byte> source_room, stayed_room;
};

// Cuts a crowd in two by its two means, until every part is small; adds the means.
void Spann::cut(const std::vector<uint16_t>& halves, std::vector<uint32_t> rows,
                std::vector<float>& means) const {
  const size_t width = ground_.width;
  const auto mean_of = [&](std::span<const uint32_t> some) {
    std::vector<float> mean(width);
    for (const uint32_t row : some) {
      const auto vector = wide(row_of(halves, row));
      for (size_t i = 0; i < width; ++i) mean[i] += vector[i] / float(some.size());
    }
    return mean;
  };
  if (rows.size() <= kPart) {
    const auto mean = mean_of(rows);
    means.insert(means.end(), mean.begin(), mean.end());
    return;
  }
  std::vector<float> a = wide(row_of(halves, rows.front())), b = wide(row_of(halves, rows[rows.size() / 2]));
  const size_t least = rows.size() / 8;
  size_t middle = 0;
  for (int round = 0; round < 6; ++round) {
    std::vector<float> axis(width);
    float between = 0;  // who leans over it is nearer to a than to b
    for (size_t i = 0; i < width; ++i) {
      axis[i] = a[i] - b[i];
      between += (a[i] * a[i] - b[i] * b[i]) / 2;
    }
    const auto cut = std::partition(rows.begin(), rows.end(), [&](uint32_t row) {
      float lean = 0;
      dot_rows(true, row_of(halves, row).data(), 1, axis, &lean);
      return lean > between;
    });
    middle = size_t(cut - rows.begin());
    if (middle < least || middle > rows.size() - least) break;
    a = mean_of(std::span(rows).first(middle));
    b = mean_of(std::span(rows).subspan(middle));
  }
  // Vectors that are all alike: halves, whatever they are.
  if (middle < least || middle > rows.size() - least) middle = rows.size() / 2;
  cut(halves, {rows.begin(), rows.begin() + int64_t(middle)}, means);
  cut(halves, {rows.begin() + int64_t(middle), rows.end()}, means);
}

Status Spann::merge() {
  Next next;
  TRY(choose_lists(next));
  TRY(choose_again(next));
  next.file = TRY(PostingFile::create(
      *ground_.env, ground_.folder + "/" + ground_.name + "." + random_name() + ".lists", ground_.width));
  Status written = write(next);
  if (!written.ok()) {
    next.file->remove().ignore("a stranger is removed when the home opens");
    return written;
  }
  take_over(std::move(next));
  return book(home_.size(), 1);
}

// By list of before (one that is not there yet takes all): the rows that wait and are nearest to it.
std::vector<std::vector<uint32_t>> Spann::coming() const {
  std::vector<std::vector<uint32_t>> rows(std::max<size_t>(lists(), 1));
  for (uint32_t row = 0; row < fresh_.slots.size(); ++row) {
    const uint32_t list = lists() == 0 ? 0 : centroids_.nearby(wide(row_of(fresh_.halves, row)), 1)[0].second;
    rows[list].push_back(row);
  }
  return rows;
}

Status Spann::choose_lists(Next& next) const {
  const size_t before = lists();
  next.room = TRY(meanwhile(size_t(2 * centroids_.bytes()) + home_.size() * 4 + before * 32 +
                            fresh_.slots.size() * 8 + (before == 0 ? fresh_.halves.size() * 2 : 0)));
  const auto rows = coming();
  std::vector<float> means;
  std::vector<std::byte> room;
  next.now.assign(before, kNone);
  for (uint32_t list = 0; list < rows.size(); ++list) {
    if (before > 0 && file_->most(list) + rows[list].size() <= kLongest) {
      next.now[list] = uint32_t(means.size() / ground_.width);
      const auto mean = centroids_.row(list);
      means.insert(means.end(), mean.begin(), mean.end());
      continue;
    }
    std::vector<uint16_t> halves;
    const auto put = [&](std::span<const uint16_t> row) {
      halves.insert(halves.end(), row.begin(), row.end());
    };
    if (before > 0) {
      const View view = TRY(file_->read(list, room));
      for (size_t row = 0; row < view.slots.size(); ++row) {
        if (view.places[row][0] == list) put(row_of(view.halves, row));  // of the others another list decides
      }
    }
    for (const uint32_t row : rows[list]) put(row_of(fresh_.halves, row));
    std::vector<uint32_t> all(halves.size() / ground_.width);
    std::iota(all.begin(), all.end(), 0);
    if (!all.empty()) cut(halves, std::move(all), means);
  }
  const auto number = next.centroids.arrange(means, ground_.width);
  next.stayed.assign(number.size(), kNone);
  for (uint32_t list = 0; list < before; ++list) {
    if (next.now[list] == kNone) continue;
    next.now[list] = number[next.now[list]];
    next.stayed[next.now[list]] = list;
  }
  return {};
}

// Those that move choose among all lists.
Status Spann::choose_again(Next& next) const {
  size_t most = fresh_.slots.size();
  for (uint32_t list = 0; list < next.now.size(); ++list)
    most += next.now[list] == kNone ? file_->most(list) : 0;
  // Each comes to two lists or three.
  next.more = TRY(meanwhile(most * (sizeof(Next::Moved) + 3 * 4)));
  next.moved.reserve(most);
  std::vector<std::byte> room;
  for (uint32_t list = 0; list < next.now.size(); ++list) {
    if (next.now[list] != kNone) continue;
    const View view = TRY(file_->read(list, room));
    for (uint32_t row = 0; row < view.slots.size(); ++row) {
      if (view.places[row][0] != list) continue;
      next.moved.push_back({list, row, places_for(next.centroids, wide(row_of(view.halves, row)))});
    }
  }
  for (uint32_t row = 0; row < fresh_.slots.size(); ++row) {
    next.moved.push_back({kNone, row, places_for(next.centroids, wide(row_of(fresh_.halves, row)))});
  }
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
  return {};
}

Status Spann::write(Next& next) const {
  next.home.assign(home_.size(), kNone);
  Records out;
  for (uint32_t list = 0; list < next.centroids.count(); ++list) {
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
  return {};
}

// Where it lay, as far as those lists are still there.
Status Spann::write_stayed(Next& next, uint32_t former, Records& out) const {
  const View view = TRY(file_->read(former, next.stayed_room));
  for (size_t row = 0; row < view.slots.size(); ++row) {
    const uint32_t slot = view.slots[row];
    if (slot >= home_.size() || view.places[row][0] >= lists()) return SnapshotReader::damaged();
    if (next.now[view.places[row][0]] == kNone) continue;  // it moves
    Places places = kNowhere;
    size_t used = 0;
    for (const uint32_t place : view.places[row]) {
      if (place < lists() && next.now[place] != kNone) places[used++] = next.now[place];
    }
    out.add(slot, places, row_of(view.halves, row));
  }
  return {};
}

Status Spann::write_moved(Next& next, uint32_t list, Records& out) const {
  for (uint32_t i = next.starts[list]; i < next.starts[list + 1]; ++i) {
    const Next::Moved& one = next.moved[next.members[i]];
    if (one.from == kNone) {
      out.add(fresh_.slots[one.row], one.places, row_of(fresh_.halves, one.row));
      continue;
    }
    if (one.from != next.open) next.source = TRY(file_->read(next.open = one.from, next.source_room));
    out.add(next.source.slots[one.row], one.places, row_of(next.source.halves, one.row));
  }
  return {};
}

void Spann::take_over(Next next) {
  if (file_ && file_->saved())
    std::swap(file_, former_);  // a snapshot speaks of it until the next is written
  if (file_) file_->remove().ignore("a stranger is removed when the home opens");
  file_ = std::move(next.file);
  centroids_ = std::move(next.centroids);
  home_ = std::move(next.home);
  kept_ = next.kept;
  fresh_ = {};
  room_slots_ = room_rows_ = 0;
}

Result<Reservation> Spann::meanwhile(size_t bytes) const {
  if (ground_.ledger == nullptr) return Reservation();
  return ground_.ledger->reserve(Tag::index, int64_t(bytes));
}

}  // namespace varve::vector_index
