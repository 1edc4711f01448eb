// How the vectors that wait come to their lists, and how lists that grew too long are split.
#include "core/base/hash.h"
#include "memory/recall/index/spann.h"

namespace varve::vector_index {
namespace {
constexpr size_t kSplitAbove = 160;
}  // namespace

// Cuts a crowd in two by its two means, until every part is small; adds the means.
void Spann::split(const Records& members, std::vector<uint32_t> rows, std::vector<float>& centroids) const {
  const size_t width = ground_.width;
  const auto mean_of = [&](std::span<const uint32_t> some) {
    std::vector<float> mean(width);
    for (uint32_t row : some) {
      const auto vector = wide(row_of(members, row));
      for (size_t i = 0; i < width; ++i) mean[i] += vector[i] / float(some.size());
    }
    return mean;
  };
  if (rows.size() <= kSplitAbove / 2) {
    const auto mean = mean_of(rows);
    centroids.insert(centroids.end(), mean.begin(), mean.end());
    return;
  }
  std::vector<float> a = wide(row_of(members, rows.front())),
                     b = wide(row_of(members, rows[rows.size() / 2]));
  size_t cut = 0;
  for (int round = 0; round < 6; ++round) {
    const auto middle = std::partition(rows.begin(), rows.end(), [&](uint32_t row) {
      const auto vector = wide(row_of(members, row));
      float lean = 0;  // to a, against b
      for (size_t i = 0; i < width; ++i) lean += (a[i] - b[i]) * (2 * vector[i] - a[i] - b[i]);
      return lean > 0;
    });
    cut = size_t(middle - rows.begin());
    if (cut < rows.size() / 8 || cut > rows.size() - rows.size() / 8) break;
    a = mean_of(std::span(rows).first(cut));
    b = mean_of(std::span(rows).subspan(cut));
  }
  // Vectors that are all alike: halves, whatever they are.
  if (cut < rows.size() / 8 || cut > rows.size() - rows.size() / 8) cut = rows.size() / 2;
  split(members, {rows.begin(), rows.begin() + int64_t(cut)}, centroids);
  split(members, {rows.begin() + int64_t(cut), rows.end()}, centroids);
}

// The waiting vectors go to their lists; a list that is too long is split, and its vectors choose anew.
Status Spann::merge() {
  const size_t before = lists(), width = ground_.width;
  std::vector<std::vector<uint32_t>> coming(std::max<size_t>(before, 1));  // rows of fresh_
  for (uint32_t row = 0; row < fresh_.slots.size(); ++row) {
    const uint32_t list = before == 0 ? 0 : nearest(wide(row_of(fresh_, row)), 1).front().second;
    coming[list].push_back(row);
  }
  std::vector<float> centroids;
  std::vector<uint32_t> now(before, kNone);  // the number of an old list that stays as it is
  for (uint32_t list = 0; list < coming.size(); ++list) {
    Records members = before == 0 ? Records() : TRY(file_->read(list));
    const bool stays = before > 0 && members.slots.size() + coming[list].size() <= kSplitAbove * 2;
    if (stays) {
      now[list] = uint32_t(centroids.size() / width);
      centroids.insert(centroids.end(), centroids_.begin() + int64_t(list * width),
                       centroids_.begin() + int64_t((list + 1) * width));
      continue;
    }
    for (size_t row = members.slots.size(); row-- > 0;) {  // of the others, another list decides
      if (places_[members.slots[row]][0] != list) drop_row(members, row);
    }
    for (uint32_t row : coming[list]) {
      members.slots.push_back(fresh_.slots[row]);
      const auto vector = row_of(fresh_, row);
      members.halves.insert(members.halves.end(), vector.begin(), vector.end());
    }
    std::vector<uint32_t> rows(members.slots.size());
    for (uint32_t i = 0; i < rows.size(); ++i) rows[i] = i;
    if (!rows.empty()) split(members, std::move(rows), centroids);
  }
  centroids_ = std::move(centroids);
  centroids_.shrink_to_fit();
  norms_ = std::vector<float>(centroids_.size() / width);
  for (size_t i = 0; i < norms_.size(); ++i) {
    const float* at = centroids_.data() + i * width;
    norms_[i] = kernels().dot(at, at, nullptr, width);
  }
  Status written = rewrite(now);
  lost_ = !written.ok();  // the centroids are new and the lists are not
  return written;
}

// Who will lie where: `now` says which old lists keep their vectors, all others choose again.
Status Spann::gather(const std::vector<uint32_t>& now, Members& members, std::vector<Places>& places) const {
  const auto choose = [&](uint32_t slot, std::span<const uint16_t> vector, Reference from) {
    places[slot] = places_for(wide(vector));
    for (uint32_t list : places[slot]) {
      if (list != kNone) members[list].push_back(from);
    }
  };
  for (uint32_t list = 0; list < now.size(); ++list) {
    const Records records = TRY(file_->read(list));
    for (uint32_t row = 0; row < records.slots.size(); ++row) {
      const uint32_t slot = records.slots[row];
      const uint32_t home = slot < places_.size() ? places_[slot][0] : kNone;
      if (home == kNone) continue;  // removed
      if (now[home] == kNone) {
        if (home == list) choose(slot, row_of(records, row), {list, row});
      } else if (home == list) {
        for (size_t i = 0; i < kCopies; ++i) {  // where it lay, as far as those lists are still there
          const uint32_t at = places_[slot][i] == kNone ? kNone : now[places_[slot][i]];
          if (at == kNone) continue;
          *std::find(places[slot].begin(), places[slot].end(), kNone) = at;
          members[at].push_back({list, row});
        }
      }
    }
  }
  for (uint32_t row = 0; row < fresh_.slots.size(); ++row) {
    choose(fresh_.slots[row], row_of(fresh_, row), {kNone, row});
  }
  return {};
}

Status Spann::write(const Members& members, PostingFile& file) const {
  Records source, out;
  uint32_t open = kNone;
  for (const auto& list : members) {
    out.slots.clear(), out.halves.clear();
    for (const Reference& from : list) {
      if (from.list != kNone && from.list != open) source = TRY(file_->read(open = from.list));
      const Records& records = from.list == kNone ? fresh_ : source;
      out.slots.push_back(records.slots[from.row]);
      const auto vector = row_of(records, from.row);
      out.halves.insert(out.halves.end(), vector.begin(), vector.end());
    }
    TRY(file.append(out));
  }
  return file.finish();
}

Status Spann::rewrite(const std::vector<uint32_t>& now) {
  Members members(lists());
  std::vector<Places> places(places_.size(), kNowhere);
  TRY(gather(now, members, places));
  std::array<std::byte, 8> random;
  secure_random(random);
  std::string path = ground_.folder + "/" + ground_.name + ".";
  for (std::byte one : random) path += "0123456789abcdef"[unsigned(one) % 16];
  auto file = TRY(PostingFile::create(*ground_.env, path + ".lists", ground_.width));
  const Status written = write(members, *file);
  if (!written.ok()) {
    file->remove().ignore("a stranger is removed when the home opens");
    return Status(written.code(), std::string(written.message()));
  }
  if (file_) file_->remove().ignore("a stranger is removed when the home opens");
  file_ = std::move(file);
  places_ = std::move(places);
  kept_ = size();
  for (uint32_t slot : fresh_.slots) row_[slot] = kNone;
  fresh_ = Records();
  room_rows_ = 0;
  return book(places_.size(), 1);
}

}  // namespace varve::vector_index
