// SPANN (Chen et al. 2021, "SPANN: Highly-efficient Billion-scale Approximate Nearest Neighbor Search"): the
// centroids of small lists in RAM, the lists on disk. A vector lies in every list that is nearly as near as
// its nearest and not behind another (closure with the RNG rule); a search reads the lists that are nearly as
// near to the query as the nearest. New vectors wait in RAM; when an eighth has come they are merged, and
// lists that grew too long are split where they are (after SPFresh, Xu et al. 2023). A list is stored as f16.
#include "memory/recall/index/spann.h"

#include <cmath>

namespace varve::vector_index {

std::vector<std::pair<float, uint32_t>> Spann::nearest(std::span<const float> vector, size_t most) const {
  std::vector<float> dots(lists());
  dot_rows(false, centroids_.data(), lists(), vector, dots.data());
  std::vector<std::pair<float, uint32_t>> all(lists());
  for (uint32_t i = 0; i < lists(); ++i) all[i] = {norms_[i] - 2 * dots[i], i};
  const size_t kept = std::min(most, all.size());
  std::nth_element(all.begin(), all.begin() + int64_t(kept ? kept - 1 : 0), all.end());
  all.resize(kept);
  std::sort(all.begin(), all.end());
  return all;
}

Places Spann::places_for(std::span<const float> vector) const {
  Places places = kNowhere;
  const float own = kernels().dot(vector.data(), vector.data(), nullptr, vector.size());
  const auto near = nearest(vector, 12);
  const double reach = (1 + options_.copy) * (1 + options_.copy) * std::max(0.0f, near.front().first + own);
  size_t used = 0;
  for (const auto& [distance, list] : near) {
    if (used == kCopies || (used > 0 && distance + own > reach)) break;
    bool behind = false;  // nearer to a list that it is in already than to the vector
    for (size_t i = 0; i < used && !behind; ++i) {
      const float* a = centroids_.data() + size_t(list) * ground_.width;
      const float* b = centroids_.data() + size_t(places[i]) * ground_.width;
      const float apart = norms_[list] + norms_[places[i]] - 2 * kernels().dot(a, b, nullptr, ground_.width);
      behind = apart < distance + own;
    }
    if (!behind) places[used++] = list;
  }
  return places;
}

Result<std::vector<VectorIndex::Near>> Spann::search(std::span<const float> query, int32_t k) const {
  if (lost_) return SnapshotReader::damaged();
  std::vector<Near> all;
  std::vector<uint64_t> seen((places_.size() + 63) / 64);
  const auto take = [&](const Records& records) {
    std::vector<float> scores(records.slots.size());
    dot_rows(true, records.halves.data(), scores.size(), query, scores.data());
    for (size_t i = 0; i < scores.size(); ++i) {
      const uint32_t slot = records.slots[i];
      if (slot >= places_.size() || (seen[slot / 64] >> (slot % 64) & 1)) continue;
      seen[slot / 64] |= uint64_t(1) << (slot % 64);
      all.push_back({slot, scores[i]});
    }
  };
  take(fresh_);
  const float own = kernels().dot(query.data(), query.data(), nullptr, query.size());
  const auto near =
      file_ ? nearest(query, size_t(options_.probe)) : std::vector<std::pair<float, uint32_t>>();
  for (const auto& [distance, list] : near) {
    const double limit = (1 + options_.reach) * std::sqrt(std::max(0.0f, near.front().first + own));
    if (std::sqrt(std::max(0.0f, distance + own)) > limit && all.size() >= size_t(std::max(0, k))) break;
    take(TRY(file_->read(list)));
  }
  keep_best(all, k);
  return all;
}

Status Spann::each(const Visit& visit) const {
  for (size_t list = 0; file_ && list < file_->lists(); ++list) {
    const Records records = TRY(file_->read(list));
    for (size_t row = 0; row < records.slots.size(); ++row) {
      const uint32_t slot = records.slots[row];
      if (slot >= places_.size() || places_[slot][0] != list) continue;
      TRY(visit(slot, wide(row_of(records, row))));
    }
  }
  for (size_t row = 0; row < fresh_.slots.size(); ++row) {
    TRY(visit(fresh_.slots[row], wide(row_of(fresh_, row))));
  }
  return {};
}

Status Spann::save(SnapshotWriter& out) const {
  if (lost_) return SnapshotReader::damaged();
  TRY(out.array(fresh_.slots));
  TRY(out.array(fresh_.halves));
  TRY(out.array(places_));
  TRY(out.array(centroids_));
  TRY(out.number(uint8_t(file_ != nullptr)));
  return file_ ? file_->save(out) : Status();
}

Status Spann::load(SnapshotReader& in) {
  TRY(in.array(fresh_.slots));
  TRY(in.array(fresh_.halves));
  TRY(in.array(places_));
  TRY(in.array(centroids_));
  const size_t width = ground_.width;
  if (fresh_.halves.size() != fresh_.slots.size() * width || centroids_.size() % width != 0)
    return in.damaged();
  norms_.resize(centroids_.size() / width);
  for (size_t i = 0; i < norms_.size(); ++i) {
    const float* at = centroids_.data() + i * width;
    norms_[i] = kernels().dot(at, at, nullptr, width);
  }
  if (TRY(in.number<uint8_t>()) != 0) file_ = TRY(PostingFile::open(*ground_.env, in, ground_.folder, width));
  if ((file_ ? file_->lists() : 0) != lists()) return in.damaged();
  for (const Places& places : places_) {
    for (uint32_t list : places) {
      if (list != kNone && list >= lists()) return in.damaged();
    }
    kept_ += places[0] != kNone;
  }
  row_.assign(places_.size(), kNone);
  for (uint32_t row = 0; row < fresh_.slots.size(); ++row) {
    const uint32_t slot = fresh_.slots[row];
    if (slot >= row_.size() || row_[slot] != kNone || places_[slot][0] != kNone) return in.damaged();
    row_[slot] = row;
  }
  return book(places_.size(), fresh_.slots.size());
}

Made spann(const Spec& spec) {
  SpannOptions options;
  TRY(OptionReader(spec)
          .read("wait", options.wait, 1, 1 << 24)
          .read("probe", options.probe, 1, 10000)
          .read("reach", options.reach, 0.0, 10.0)
          .read("copy", options.copy, 0.0, 10.0)
          .done());
  return std::unique_ptr<VectorIndex>(new Spann(options));
}

}  // namespace varve::vector_index
