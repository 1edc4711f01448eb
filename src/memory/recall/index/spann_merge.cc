// How the vectors that wait come to their lists, and how lists that grew too long are split. Everything is
// made beside what there is and takes its place at the end: a merge that fails changes nothing. Each add does
// a slice of it, so that none waits for all; what is removed meanwhile goes from both.
#include <numeric>

#include "memory/recall/index/spann_next.h"

namespace varve::vector_index {
namespace {
constexpr size_t kLongest = 160;  // records of a list that stays as it is
constexpr size_t kPart = 64;      // of a list that is cut: vectors of each part, at most
// Of a slice, in vectors that choose their lists: about a millisecond. A merge of a sixteenth has at most 20
// for each vector that comes, so it ends before the next is due.
constexpr int64_t kSlice = 32;

}  // namespace

Spann::Spann(const SpannOptions& options) : options_(options) {}
Spann::~Spann() {
  abandon_merge();
}

bool Spann::owns(std::string_view file) const {
  const auto is = [&](const std::unique_ptr<PostingFile>& one) { return one && file == one->name(); };
  return is(file_) || is(former_) || (next_ && is(next_->file));
}

bool Spann::merging(uint32_t row) const {
  return next_ != nullptr && row < next_->upto;
}

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
    const auto leans = [&](uint32_t row) {
      float lean = 0;
      dot_rows(true, row_of(halves, row).data(), 1, axis, &lean);
      return lean > between;
    };
    middle = size_t(std::partition(rows.begin(), rows.end(), leans) - rows.begin());
    if (middle < least || middle > rows.size() - least) break;
    a = mean_of(std::span(rows).first(middle));
    b = mean_of(std::span(rows).subspan(middle));
  }
  // Vectors that are all alike: halves, whatever they are.
  if (middle < least || middle > rows.size() - least) middle = rows.size() / 2;
  cut(halves, {rows.begin(), rows.begin() + int64_t(middle)}, means);
  cut(halves, {rows.begin() + int64_t(middle), rows.end()}, means);
}

Status Spann::begin_merge() {
  auto next = std::make_unique<Next>();
  const size_t before = lists(), rows = fresh_.slots.size();
  next->room = TRY(meanwhile(size_t(2 * centroids_.bytes()) + (home_.size() + rows) * 4 + before * 32 +
                             rows * 8 + (before == 0 ? fresh_.halves.size() * 2 : 0)));
  next->upto = uint32_t(rows);
  next->coming.resize(std::max<size_t>(before, 1));
  next->now.assign(before, kNone);
  next_ = std::move(next);
  return {};
}

Status Spann::merge_some() {
  for (int64_t work = kSlice; work > 0 && next_->stage != Next::Stage::done;) {
    Status done = go_on(*next_, work);
    if (done.ok()) continue;
    abandon_merge();
    return done;
  }
  if (next_->stage != Next::Stage::done) return {};
  take_over(*next_);
  next_.reset();
  return book(home_.size(), fresh_.slots.size() + 1);
}

Status Spann::go_on(Next& next, int64_t& work) const {
  switch (next.stage) {
    case Next::Stage::coming: return sort_coming(next, work), Status();
    case Next::Stage::lists: return choose_lists(next, work);
    case Next::Stage::moving: return choose_again(next, work);
    case Next::Stage::writing: return write(next, work);
    case Next::Stage::done: return {};
  }
  return {};
}

void Spann::abandon_merge() {
  if (next_ && next_->file) next_->file->remove().ignore("a stranger is removed when the home opens");
  next_.reset();
}

void Spann::sort_coming(Next& next, int64_t& work) const {
  for (; next.at < next.upto && work > 0; ++next.at, --work) {
    if (fresh_.slots[next.at] == kNone) continue;
    const auto vector = wide(row_of(fresh_.halves, next.at));
    next.coming[lists() == 0 ? 0 : centroids_.nearby(vector, 1)[0].second].push_back(next.at);
  }
  if (next.at == next.upto) next.go_to(Next::Stage::lists);
}

Status Spann::choose_lists(Next& next, int64_t& work) const {
  for (; next.at < next.coming.size() && work > 0; ++next.at, --work) TRY(choose_list(next, next.at, work));
  if (next.at < next.coming.size()) return {};
  arrange(next);
  size_t most = next.upto;
  for (uint32_t list = 0; list < next.now.size(); ++list)
    most += next.now[list] == kNone ? file_->most(list) : 0;
  // Each comes to two lists or three.
  next.more = TRY(meanwhile(most * (sizeof(Next::Moved) + 3 * 4)));
  next.moved.reserve(most);
  next.go_to(Next::Stage::moving);
  return {};
}

// It stays, or it is cut.
Status Spann::choose_list(Next& next, uint32_t list, int64_t& work) const {
  const bool before = lists() > 0;
  const std::vector<uint32_t>& rows = next.coming[list];
  if (before && file_->most(list) + rows.size() <= kLongest) {
    next.now[list] = uint32_t(next.means.size() / ground_.width);
    const auto mean = centroids_.row(list);
    next.means.insert(next.means.end(), mean.begin(), mean.end());
    return {};
  }
  std::vector<uint16_t> halves;
  const auto put = [&](std::span<const uint16_t> row) {
    halves.insert(halves.end(), row.begin(), row.end());
  };
  if (before) {
    std::vector<std::byte> room;
    const View view = TRY(file_->read(list, room));
    for (size_t row = 0; row < view.slots.size(); ++row) {
      if (view.places[row][0] == list) put(row_of(view.halves, row));  // of the others another list decides
    }
  }
  for (const uint32_t row : rows) {
    if (fresh_.slots[row] != kNone) put(row_of(fresh_.halves, row));
  }
  std::vector<uint32_t> all(halves.size() / ground_.width);
  std::iota(all.begin(), all.end(), 0);
  work -= int64_t(all.size() / 4);
  if (!all.empty()) cut(halves, std::move(all), next.means);
  return {};
}

void Spann::arrange(Next& next) const {
  const auto number = next.centroids.arrange(next.means, ground_.width);
  next.means = std::vector<float>();
  next.coming = std::vector<std::vector<uint32_t>>();
  next.stayed.assign(number.size(), kNone);
  for (uint32_t list = 0; list < next.now.size(); ++list) {
    if (next.now[list] == kNone) continue;
    next.now[list] = number[next.now[list]];
    next.stayed[next.now[list]] = list;
  }
}

// Those that move choose among all lists.
Status Spann::choose_again(Next& next, int64_t& work) const {
  const auto before = uint32_t(next.now.size());
  const auto move = [&](uint32_t from, uint32_t row, std::span<const uint16_t> halves) {
    next.moved.push_back({from, row, places_for(next.centroids, wide(halves))});
    --work;
  };
  std::vector<std::byte> room;
  for (; next.at < before && work > 0; ++next.at) {
    const uint32_t list = next.at;
    if (next.now[list] != kNone) continue;
    const View view = TRY(file_->read(list, room));
    for (uint32_t row = 0; row < view.slots.size(); ++row) {
      if (view.places[row][0] == list) move(list, row, row_of(view.halves, row));
    }
  }
  for (; next.at >= before && next.at < before + next.upto && work > 0; ++next.at) {
    const uint32_t row = next.at - before;
    if (fresh_.slots[row] != kNone) move(kNone, row, row_of(fresh_.halves, row));
  }
  return next.at == before + next.upto ? begin_writing(next) : Status();
}

}  // namespace varve::vector_index
