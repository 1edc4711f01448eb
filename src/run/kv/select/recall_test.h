// Of the keys with the largest logits, the share that a selector reads.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "run/kv/select.h"

namespace varve {

// Keys of a lane, and the queries that its prompt was read with: [token][dim].
struct RecallLane {
  size_t dim = 0;
  std::vector<float> keys, watched;
  int32_t tokens() const { return int32_t(keys.size() / dim); }
};
inline constexpr int32_t kRecallSinks = 64, kRecallWindow = 256;  // tokens that are read anyway
inline LaneStretch recall_among(const RecallLane& lane) {
  return {kRecallSinks, lane.tokens() - kRecallWindow};
}

// The `best` keys of each query that `select` reads, in the mean over the queries [query][dim].
inline double recall(const std::string& select, const RecallLane& lane, std::span<const float> asked,
                     int32_t best) {
  const auto selector = kv_selectors().make(select).value();
  const auto index = selector->index(int32_t(lane.dim));
  AttendSpec spec;
  spec.codec = *codec_named("f32");
  spec.key_dim = spec.value_dim = int32_t(lane.dim);
  spec.scale = 1 / std::sqrt(float(lane.dim));
  std::vector<int32_t> positions(static_cast<size_t>(lane.tokens()));
  std::iota(positions.begin(), positions.end(), 0);
  std::vector<KvPageView> pages;
  const size_t page = kAttendTile * lane.dim;
  for (size_t at = 0; at + page <= lane.keys.size(); at += page)
    pages.push_back({.keys = std::as_bytes(std::span(lane.keys).subspan(at, page)),
                     .values = {},
                     .positions = std::span(positions).subspan(at / lane.dim, kAttendTile),
                     .weights = {}});
  const KvNotes notes;
  for (size_t page_at = 0; page_at < pages.size(); page_at += 4) {  // as a prompt is read, step by step
    const size_t end = std::min(page_at + 4, pages.size());
    const auto step = std::span(lane.watched).subspan(lane.watched.empty() ? 0 : page_at * page);
    if (!step.empty())
      index->watch({step.first((end - page_at) * page), 1, lane.dim, int32_t(page_at * kAttendTile)});
    index->grow({std::span(pages).first(end), spec, notes});
  }
  const LaneStretch among = recall_among(lane);
  int64_t found = 0, queries = 0;
  for (size_t at = 0; at < asked.size(); at += lane.dim, ++queries) {
    const auto query = asked.subspan(at, lane.dim);
    std::vector<LaneStretch> chosen;
    index->choose({query, 1, lane.dim, lane.tokens()}, {pages, spec, notes}, among, chosen);
    std::vector<bool> read(static_cast<size_t>(lane.tokens()));
    for (const LaneStretch& one : chosen) std::fill(read.begin() + one.first, read.begin() + one.end, true);
    const auto count = std::count(read.begin() + among.first, read.begin() + among.end, true);
    EXPECT_LE(count, int64_t(selector->plan.pages) * int64_t(kAttendTile)) << select;
    std::vector<std::pair<float, int32_t>> logits;
    for (int32_t token = among.first; token < among.end; ++token)
      logits.emplace_back(std::inner_product(query.begin(), query.end(),
                                             lane.keys.begin() + token * std::ptrdiff_t(lane.dim), 0.f),
                          token);
    std::nth_element(logits.begin(), logits.begin() + best, logits.end(), std::greater<>());
    for (int32_t i = 0; i < best; ++i) found += read[size_t(logits[size_t(i)].second)];
  }
  return double(found) / double(queries * best);
}

// Of a selector that chose `pages` pages' worth of tokens by chance.
inline double recall_by_chance(const RecallLane& lane, int32_t pages) {
  return double(pages) * double(kAttendTile) / double(recall_among(lane).size());
}

}  // namespace varve
