#include "run/kv/nearer.h"

#include <algorithm>

#include "math/ops/turn.h"

namespace varve {

KvLanes Nearer::move(Ops& ops, const KvPositions& positions, int32_t layer, KvLanes lanes, int32_t newest,
                     const AttendSpec& how) {
  if (positions.trained == 0 || newest < positions.trained || how.window > 0 || how.alibi > 0) return lanes;
  if (!look(lanes, newest) || !book(lanes, how)) return lanes;
  moved_.resize(lanes.size());
  ops.parallel(int64_t(lanes.size()), [&](int64_t i) {
    Lane& lane = lanes_[size_t(i)];
    lane.views.assign(lanes[size_t(i)].begin(), lanes[size_t(i)].end());
    lane.copies.resize(std::max(lane.copies.size(), lane.views.size()));
    for (size_t page = 0; page < lane.views.size(); ++page) {
      KvPageView& view = lane.views[page];
      Copy& to = lane.copies[page];
      to.positions.clear();
      bool moves = false;
      for (const int32_t position : view.positions) {
        to.positions.push_back(place(lane, positions, position, view.codec != nullptr));
        moves |= to.positions.back() != position;
      }
      if (moves) copy(positions.layers[size_t(layer)], how, lanes[size_t(i)][page], to, view);
    }
    moved_[size_t(i)] = lane.views;
  });
  return moved_;
}

// Notes which positions are read; whether there are holes between them.
bool Nearer::look(KvLanes lanes, int32_t newest) {
  lanes_.resize(lanes.size());
  bool holes = false;
  for (size_t i = 0; i < lanes.size(); ++i) {
    auto& read = lanes_[i].read;
    read.clear();
    for (const KvPageView& page : lanes[i])
      if (page.codec == nullptr) read.insert(read.end(), page.positions.begin(), page.positions.end());
    if (!std::is_sorted(read.begin(), read.end())) std::sort(read.begin(), read.end());
    holes |= !read.empty() && int64_t(read.front()) + int64_t(read.size()) <= int64_t(newest);
  }
  return holes;
}

// The newest run of what is read stays; before it there are no holes. What stands for tokens that are not
// read lies where they do, or as far away as the model knows.
int32_t Nearer::place(const Lane& lane, const KvPositions& positions, int32_t position, bool stands_in) {
  const auto& read = lane.read;
  if (stands_in) return std::max(position, read.back() - positions.trained + 1);
  const auto at = std::lower_bound(read.begin(), read.end(), position);
  const auto after = int32_t(read.end() - at) - 1;  // tokens that are read and newer
  return read.back() - after;
}

void Nearer::copy(const RopeSpec& rope, const AttendSpec& how, const KvPageView& page, Copy& to,
                  KvPageView& view) {
  const Codec& codec = page.pack != nullptr    ? **codec_named("f16")
                       : page.codec != nullptr ? *page.codec
                                               : *how.codec;
  const size_t tokens = page.positions.size(), held = page.pack != nullptr ? kAttendTile : tokens;
  std::vector<float> rows(held * size_t(how.key_dim));
  std::vector<int32_t> by(held);
  for (size_t i = 0; i < tokens; ++i) by[i] = to.positions[i] - page.positions[i];
  page.pack != nullptr ? page.pack->decode_keys(page.keys.data(), how.key_dim, rows.data())
                       : codec.decode(page.keys, rows);
  turn_rows(rope, how.key_dim, by, rows);
  to.keys.resize(held * size_t(codec.bytes_for(how.key_dim)));
  codec.encode(rows, to.keys);
  view.keys = to.keys;
  view.positions = to.positions;
  if (page.pack == nullptr) return;
  rows.resize(held * size_t(how.value_dim));
  page.pack->decode_values(page.values.data(), how.value_dim, rows.data());
  to.values.resize(held * size_t(codec.bytes_for(how.value_dim)));
  codec.encode(rows, to.values);
  view.values = to.values;
  view.pack = nullptr;
  view.codec = &codec;
}

bool Nearer::book(KvLanes lanes, const AttendSpec& how) {
  int64_t bytes = 0;
  for (const auto& lane : lanes) {
    for (const KvPageView& page : lane)
      bytes += int64_t(page.positions.size()) *
               (page.pack != nullptr ? 2 * (how.key_dim + how.value_dim) + 8 : 4 * how.key_dim + 8);
  }
  if (bytes <= booked_.bytes()) return true;
  if (booked_.bytes() > 0) return booked_.resize(bytes + bytes / 8).ok();
  auto booked = ledger_.reserve(Tag::kv, bytes + bytes / 8);
  if (!booked.ok()) return false;
  booked_ = std::move(booked).value();
  return true;
}

}  // namespace varve
