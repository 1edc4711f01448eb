// What is read: whole pages as they lie; of others a copy of the tokens that are read, where a page's rows
// can be copied. Means stand for the rest where the plan says so.
#include "run/kv/selection.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "math/kernel/kernel.h"

namespace varve {
namespace {

constexpr int32_t kPage = int32_t(kAttendTile);

void append_halves(std::span<const float> values, std::vector<uint16_t>& to) {
  const size_t at = to.size();
  to.resize(at + values.size());
  kernels().encode_f16(values.data(), values.size(), &to[at]);
}

void append_mean(std::span<const float> rows, size_t dim, std::vector<uint16_t>& to) {
  std::vector<float> mean(dim);
  for (size_t i = 0; i < rows.size(); ++i) mean[i % dim] += rows[i] / float(rows.size() / dim);
  append_halves(mean, to);
}

// Rows of a page as floats, `from` and on.
void decode(const KvPageView& page, const AttendSpec& spec, bool keys, LaneStretch rows,
            std::vector<float>& out) {
  const int32_t dim = keys ? spec.key_dim : spec.value_dim;
  const auto bytes = keys ? page.keys : page.values;
  const size_t at = out.size(), values = size_t(rows.size()) * size_t(dim);
  out.resize(at + values);
  if (page.pack == nullptr) {
    const size_t row = bytes.size() / page.positions.size();
    return spec.codec->decode(bytes.subspan(size_t(rows.first) * row, size_t(rows.size()) * row),
                              std::span(out).subspan(at));
  }
  std::vector<float> all(size_t(kPage) * size_t(dim));
  keys ? page.pack->decode_keys(bytes.data(), dim, all.data())
       : page.pack->decode_values(bytes.data(), dim, all.data());
  std::copy_n(all.begin() + rows.first * dim, values, out.begin() + ptrdiff_t(at));
}

void decode(const LaneTokens& lane, bool keys, LaneStretch of, std::vector<float>& out) {
  out.clear();
  for (int32_t page = of.first / kPage; page * kPage < of.end; ++page) {
    const int32_t first = std::max(of.first - page * kPage, 0), end = std::min(of.end - page * kPage, kPage);
    decode(lane.pages[size_t(page)], lane.spec, keys, {first, end}, out);
  }
}

// In order, without overlaps.
void tidy(std::vector<LaneStretch>& stretches) {
  std::sort(stretches.begin(), stretches.end(),
            [](LaneStretch a, LaneStretch b) { return a.first < b.first; });
  size_t kept = 0;
  for (const LaneStretch& one : stretches) {
    if (kept > 0 && one.first <= stretches[kept - 1].end) {
      stretches[kept - 1].end = std::max(stretches[kept - 1].end, one.end);
    } else if (one.size() > 0) {
      stretches[kept++] = one;
    }
  }
  stretches.resize(kept);
}

}  // namespace

int32_t LaneTokens::count() const {
  if (pages.empty()) return 0;
  return (int32_t(pages.size()) - 1) * kPage + int32_t(pages.back().positions.size());
}
int32_t LaneTokens::full() const {
  return count() / kPage * kPage;
}
void LaneTokens::keys(LaneStretch of, std::vector<float>& out) const {
  decode(*this, true, of, out);
}
void LaneTokens::values(LaneStretch of, std::vector<float>& out) const {
  decode(*this, false, of, out);
}

std::vector<float> LaneQueries::pooled() const {
  std::vector<float> mean(heads * dim);
  for (size_t i = 0; i < rows.size(); ++i) mean[i % mean.size()] += rows[i];
  for (float& one : mean) one /= float(count());
  return mean;
}

struct Selection::Lane {
  std::unique_ptr<LaneIndex> index;
  int32_t known = 0;  // tokens, by the index
  // Of groups of `estimate` tokens, from the first on.
  std::vector<uint16_t> mean_keys, mean_values;
  std::vector<int32_t> mean_positions;
  std::vector<float> weights;
  std::vector<LaneStretch> stretches;
  std::vector<KvPageView> chosen;
};

// Tokens of pages that are read in part.
struct Selection::Gathered {
  std::vector<std::byte> keys, values;
  std::vector<int32_t> positions;
  std::vector<float> weights;
  void clear() { keys.clear(), values.clear(), positions.clear(), weights.clear(); }
  void add(const KvPageView& page, LaneStretch rows) {
    const auto part = [&](auto from, auto& to) {
      const size_t row = from.size() / page.positions.size();
      to.insert(to.end(), from.begin() + ptrdiff_t(size_t(rows.first) * row),
                from.begin() + ptrdiff_t(size_t(rows.end) * row));
    };
    part(page.keys, keys), part(page.values, values), part(page.positions, positions);
    part(page.weights, weights);
  }
};

Selection::Selection(std::shared_ptr<const KvSelector> selector, Ledger& ledger, const KvShape& shape,
                     KvPageSource* source)
    : selector_(std::move(selector)),
      ledger_(ledger),
      shape_(shape),
      source_(source),
      lanes_(size_t(shape.layers) * size_t(shape.kv_heads)),
      gathered_(size_t(shape.kv_heads)),
      chosen_(size_t(shape.kv_heads)),
      failed_(size_t(shape.kv_heads)) {
  for (Lane& lane : lanes_) lane.index = selector_->index(shape.key_dim);
}
Selection::~Selection() = default;

int64_t Selection::bytes_for(const KvSelector& selector, const KvShape& shape, int64_t pages) {
  const SelectPlan& plan = selector.plan;
  const int64_t values = shape.key_dim + shape.value_dim, grown = pages + pages / 8 + 16;
  const int64_t means = plan.estimate > 0 ? grown * (kPage / plan.estimate) * (2 * values + 8) : 0;
  const int64_t chosen = std::min(grown, int64_t(plan.pages) * (1 + 2 * plan.near));
  const int64_t copies = plan.parts ? shape.kv_heads * chosen * kPage * (4 * values + 8) : 0;
  return int64_t(shape.layers) * shape.kv_heads * (selector.bytes_for(shape.key_dim, grown) + means) + copies;
}

void Selection::forget(int32_t from_position) {
  const int32_t place = std::max(0, from_position);  // no token lies behind its position
  for (Lane& lane : lanes_) {
    lane.known = std::min(lane.known, lane.index->forget(place));
    if (lane.weights.empty()) continue;
    const size_t keep =
        std::min(lane.weights.size(), size_t(place / kPage * kPage / selector_->plan.estimate));
    lane.mean_keys.resize(keep * size_t(shape_.key_dim));
    lane.mean_values.resize(keep * size_t(shape_.value_dim));
    lane.mean_positions.resize(keep);
    lane.weights.resize(keep);
  }
}

bool Selection::book(int64_t pages) {
  if (pages <= booked_pages_) return true;
  const int64_t bytes = bytes_for(*selector_, shape_, pages);  // in steps, and for all layers at once
  if (booked_.bytes() == 0) {
    auto booked = ledger_.reserve(Tag::kv, bytes);
    if (!booked.ok()) return false;
    booked_ = std::move(booked).value();
  } else if (!booked_.resize(bytes).ok()) {
    return false;
  }
  booked_pages_ = pages + pages / 8 + 16;
  return true;
}

bool Selection::chooses(int32_t rows) const {
  return rows == 1 ? selector_->plan.written : selector_->plan.prompts > 0;
}

Result<KvLanes> Selection::choose(Ops& ops, int32_t layer, KvLanes lanes, Rows query, const AttendSpec& spec,
                                  const KvNotes& notes) {
  CHECK(lanes.size() == size_t(shape_.kv_heads), "a selection of another layer");
  if (spec.window > 0) return lanes;  // it reads few already
  const bool chooses = this->chooses(query.count()), watches = query.count() > 1 && selector_->plan.watches;
  // What goes to the disk is learnt while it is in RAM.
  if (!chooses && !watches && source_ == nullptr) return lanes;
  size_t most = 0;
  for (const auto& lane : lanes) most = std::max(most, lane.size());
  const bool booked = book(int64_t(most));
  if (!booked && (source_ == nullptr || !chooses)) return lanes;
  const auto own = std::span(lanes_).subspan(size_t(layer) * lanes.size(), lanes.size());
  const size_t group = size_t(spec.heads / spec.kv_heads) * size_t(spec.key_dim);
  std::vector<float> queries(size_t(query.count()) * group * lanes.size());
  ops.store(query, queries);
  ops.parallel(int64_t(lanes.size()), [&](int64_t i) {
    std::vector<float> of_lane;
    for (size_t row = 0; row < size_t(query.count()); ++row) {
      const auto from = queries.begin() + ptrdiff_t((row * lanes.size() + size_t(i)) * group);
      of_lane.insert(of_lane.end(), from, from + ptrdiff_t(group));
    }
    const LaneTokens tokens{lanes[size_t(i)], spec, notes};
    const LaneQueries asked{of_lane, group / size_t(spec.key_dim), size_t(spec.key_dim),
                            tokens.count() - query.count()};
    Lane& lane = own[size_t(i)];
    lane.chosen.clear();
    lane.stretches = {{0, tokens.count()}};
    Status& status = failed_[size_t(i)] = Status();
    if (watches) lane.index->watch(asked);
    // A prompt's tokens are learnt now, so that the first written token does not wait.
    if (booked) status = learn(lane, size_t(i), tokens);
    if (booked && chooses && status.ok()) choose_one(lane, tokens, asked);
    if (chooses && status.ok()) status = read(lane, size_t(i), tokens);
  });
  for (Status& one : failed_) TRY(std::move(one));
  if (!chooses) return lanes;
  for (size_t i = 0; i < lanes.size(); ++i) {
    chosen_[i] = own[i].chosen.empty() ? lanes[i] : own[i].chosen;
    of_ += int64_t(lanes[i].size()) * kPage;
    for (const KvPageView& page : chosen_[i])
      if (page.codec == nullptr) read_ += int64_t(page.positions.size());
  }
  return KvLanes(chosen_);
}

Result<KvPageView> Selection::page(size_t head, const LaneTokens& tokens, int32_t page, bool stays) const {
  const KvPageView& view = tokens.pages[size_t(page)];
  return view.keys.empty() ? source_->bring(head, page, stays) : view;
}

// Full pages that the index and the means have not seen yet.
Status Selection::learn(Lane& lane, size_t head, const LaneTokens& tokens) const {
  int32_t known = lane.known;
  if (const int32_t each = selector_->plan.estimate; each > 0)
    known = std::min(known, int32_t(lane.weights.size()) * each);
  std::vector<KvPageView> here;
  for (int32_t one = known / kPage; one < tokens.full() / kPage; ++one) {
    if (!tokens.pages[size_t(one)].keys.empty()) continue;
    if (here.empty()) here.assign(tokens.pages.begin(), tokens.pages.end());
    here[size_t(one)] = TRY(page(head, tokens, one, true));
  }
  const LaneTokens full{here.empty() ? tokens.pages : here, tokens.spec, tokens.notes};
  lane.known = std::min(lane.index->grow(full), full.full());
  if (selector_->plan.estimate > 0) estimate(lane, full);
  return {};
}

void Selection::estimate(Lane& lane, const LaneTokens& tokens) const {
  const int32_t each = selector_->plan.estimate;
  std::vector<float> keys, values;
  for (auto place = int32_t(lane.weights.size()) * each; place < tokens.full(); place += each) {
    tokens.keys({place, place + each}, keys);
    tokens.values({place, place + each}, values);
    append_mean(keys, size_t(shape_.key_dim), lane.mean_keys);
    append_mean(values, size_t(shape_.value_dim), lane.mean_values);
    lane.mean_positions.push_back(tokens.position(place + each - 1));
    lane.weights.push_back(0);
  }
}

// The means of what none is read of.
KvPageView Selection::stand_in(Lane& lane) const {
  const int32_t each = selector_->plan.estimate;
  std::fill(lane.weights.begin(), lane.weights.end(), std::log(float(each)));
  for (const LaneStretch& one : lane.stretches) {
    const size_t end = std::min(lane.weights.size(), size_t((one.end + each - 1) / each));
    for (size_t group = size_t(one.first / each); group < end; ++group)
      lane.weights[group] = -std::numeric_limits<float>::infinity();
  }
  return {.keys = std::as_bytes(std::span(lane.mean_keys)),
          .values = std::as_bytes(std::span(lane.mean_values)),
          .positions = lane.mean_positions,
          .weights = lane.weights,
          .codec = *codec_named("f16")};
}

// What to read, in order; all of it when nothing is left to choose from.
void Selection::choose_one(Lane& lane, const LaneTokens& tokens, const LaneQueries& queries) const {
  const SelectPlan& plan = selector_->plan;
  // Those from `end` on are read: what is not known, and the newest before the first query.
  const int32_t all = tokens.count();
  const int32_t begin = std::min(plan.sinks * kPage, all);
  const int32_t end =
      std::clamp(std::min(lane.known, (queries.first / kPage - plan.window) * kPage), begin, all);
  if (end == begin) return;
  lane.stretches = {{0, begin}, {end, all}};
  lane.index->choose(queries, tokens, {begin, end}, lane.stretches);
  for (LaneStretch& one : lane.stretches) {  // what is packed is read by pages
    if (one.size() == 0) continue;
    const int32_t first = one.first / kPage, last = (one.end - 1) / kPage;
    if (tokens.pages[size_t(first)].pack != nullptr) one.first = first * kPage;
    if (tokens.pages[size_t(last)].pack != nullptr) one.end = (last + 1) * kPage;
  }
  tidy(lane.stretches);
}

// Leaves `chosen` empty when everything is read and lies in RAM.
Status Selection::read(Lane& lane, size_t head, const LaneTokens& tokens) {
  const bool all = lane.stretches.size() == 1 && lane.stretches[0].size() == tokens.count();
  if (all && source_ == nullptr) return {};
  if (!all && selector_->plan.estimate > 0) lane.chosen.push_back(stand_in(lane));
  Gathered& gathered = gathered_[head];
  gathered.clear();
  for (const LaneStretch& one : lane.stretches) {
    for (int32_t at = one.first / kPage; at * kPage < one.end; ++at) {
      const auto held = int32_t(tokens.pages[size_t(at)].positions.size());
      const LaneStretch rows{std::max(0, one.first - at * kPage), std::min(held, one.end - at * kPage)};
      const bool whole = rows.size() == held;
      const KvPageView view = TRY(page(head, tokens, at, whole));
      whole ? lane.chosen.push_back(view) : gathered.add(view, rows);
    }
  }
  if (!gathered.positions.empty())
    lane.chosen.push_back({.keys = gathered.keys,
                           .values = gathered.values,
                           .positions = gathered.positions,
                           .weights = gathered.weights});
  return {};
}

}  // namespace varve
