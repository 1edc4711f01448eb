// Rows are kept in f16: half of what is read to decide what to read. A page's score is the share of attention
// that its rows promise, summed over the heads that read it together.
#include "run/kv/selection.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "math/kernel/kernel.h"

namespace varve {
namespace {

constexpr size_t kPage = kAttendTile;

void append_halves(std::span<const float> values, std::vector<uint16_t>& to) {
  if (values.empty()) return;
  const size_t at = to.size();
  to.resize(at + values.size());
  kernels().encode_f16(values.data(), values.size(), &to[at]);
}

void decode_page(const KvPageView& page, const AttendSpec& spec, bool keys, std::vector<float>& out) {
  const int32_t dim = keys ? spec.key_dim : spec.value_dim;
  out.resize(kPage * size_t(dim));
  const auto bytes = keys ? page.keys : page.values;
  if (page.pack == nullptr) return spec.codec->decode(bytes, out);
  keys ? page.pack->decode_keys(bytes.data(), dim, out.data())
       : page.pack->decode_values(bytes.data(), dim, out.data());
}

void mean_rows(std::span<const float> rows, size_t dim, size_t each, std::vector<uint16_t>& to) {
  std::vector<float> mean(dim);
  for (size_t first = 0; first < rows.size(); first += each * dim) {
    std::fill(mean.begin(), mean.end(), 0.f);
    for (size_t i = 0; i < each * dim; ++i) mean[i % dim] += rows[first + i] / float(each);
    append_halves(mean, to);
  }
}

}  // namespace

// Everything by page, for the full pages from the first on.
struct Selection::Lane {
  size_t pages = 0;
  std::vector<uint16_t> rows;
  std::vector<uint16_t> mean_keys, mean_values;  // of what stands for tokens that are not read
  std::vector<int32_t> mean_positions;
  std::vector<float> weights;
  std::vector<KvPageView> chosen;
};

Selection::Selection(std::shared_ptr<const KvSelector> selector, Ledger& ledger, size_t lanes,
                     int32_t key_dim, int32_t value_dim)
    : selector_(std::move(selector)),
      ledger_(ledger),
      key_dim_(key_dim),
      value_dim_(value_dim),
      lanes_(lanes) {}
Selection::~Selection() = default;

int64_t Selection::bytes_for(const KvSelector& selector, int32_t key_dim, int32_t value_dim, int64_t pages) {
  const auto shape = selector.shape(key_dim);
  const int32_t means = selector.plan.estimate > 0 ? int32_t(kPage) / selector.plan.estimate : 0;
  const int64_t each = 2 * int64_t(shape.rows) * shape.width + means * (2 * int64_t(key_dim + value_dim) + 8);
  return (pages + pages / 8 + 16) * each;
}

void Selection::forget(int32_t from_position) {
  for (Lane& lane : lanes_) {
    const auto shape = selector_->shape(key_dim_);
    const size_t keep = size_t(std::max(0, from_position)) / kPage;  // no page ends before its place
    if (lane.pages <= keep) continue;
    lane.pages = keep;
    lane.rows.resize(keep * size_t(shape.rows * shape.width));
    const size_t means = lane.mean_positions.empty() ? 0 : kPage / size_t(selector_->plan.estimate);
    lane.mean_keys.resize(keep * means * size_t(key_dim_));
    lane.mean_values.resize(keep * means * size_t(value_dim_));
    lane.mean_positions.resize(keep * means);
    lane.weights.resize(keep * means);
  }
}

bool Selection::remember(Ops& ops, std::span<Lane> lanes, std::span<const std::span<const KvPageView>> pages,
                         const AttendSpec& spec) {
  int64_t most = 0;
  for (const auto& lane : pages) most = std::max<int64_t>(most, int64_t(lane.size()));
  if (most > booked_pages_) {  // in steps, and for all layers at once
    const int64_t bytes = int64_t(lanes_.size()) * bytes_for(*selector_, key_dim_, value_dim_, most);
    if (booked_.bytes() == 0) {
      auto booked = ledger_.reserve(Tag::kv, bytes);
      if (!booked.ok()) return false;
      booked_ = std::move(booked).value();
    } else if (!booked_.resize(bytes).ok()) {
      return false;
    }
    booked_pages_ = most + most / 8 + 16;
  }
  ops.parallel(int64_t(lanes.size()), [&](int64_t i) {
    Lane& lane = lanes[size_t(i)];
    std::vector<float> keys, values, rows;
    const auto shape = selector_->shape(key_dim_);
    const auto estimate = size_t(selector_->plan.estimate);
    for (; lane.pages < pages[size_t(i)].size(); ++lane.pages) {
      const KvPageView& page = pages[size_t(i)][lane.pages];
      if (page.positions.size() < kPage) break;
      decode_page(page, spec, true, keys);
      rows.resize(size_t(shape.rows * shape.width));
      if (!rows.empty()) selector_->remember(keys, key_dim_, rows);
      append_halves(rows, lane.rows);
      if (estimate == 0) continue;
      decode_page(page, spec, false, values);
      mean_rows(keys, size_t(key_dim_), estimate, lane.mean_keys);
      mean_rows(values, size_t(value_dim_), estimate, lane.mean_values);
      for (size_t t = estimate - 1; t < kPage; t += estimate) {
        lane.mean_positions.push_back(page.positions[t]);
        lane.weights.push_back(std::log(float(estimate)));
      }
    }
  });
  return true;
}

namespace {

// Shares of attention that rows promise to the pages [first, end), summed over the heads, added to `scores`.
struct Look {
  const KvSelector& selector;
  const AttendSpec& spec;
  std::span<const float> queries;  // of the heads of a lane

  void operator()(const std::vector<uint16_t>& rows, std::span<const int32_t> pages,
                  std::span<float> scores) const {
    const auto shape = selector.shape(spec.key_dim);
    const auto width = size_t(shape.width), each = size_t(shape.rows), dim = size_t(spec.key_dim);
    std::vector<float> seen(width), best(pages.size());
    alignas(64) float products[kPage];
    for (size_t head = 0; head < queries.size() / dim; ++head) {
      selector.look(queries.subspan(head * dim, dim), seen);
      for (size_t i = 0; i < pages.size(); ++i) {
        kernels().score_rows[size_t(Format::f16)](&rows[size_t(pages[i]) * each * width], each, seen.data(),
                                                  1, width, spec.scale, products, nullptr);
        best[i] = kernels().max(products, each);
      }
      add_shares(best, scores);
    }
  }
  static void add_shares(std::vector<float>& logits, std::span<float> scores) {
    const float sum =
        kernels().exp_sum(logits.data(), kernels().max(logits.data(), logits.size()), logits.size());
    for (size_t i = 0; i < logits.size(); ++i) scores[i] += logits[i] / sum;
  }
};

// The `count` pages with the largest scores, ties to the newer.
void keep_best(std::vector<int32_t>& pages, std::span<const float> scores, size_t count) {
  if (pages.size() <= count) return;
  std::vector<int32_t> order(pages.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = int32_t(i);
  std::nth_element(order.begin(), order.begin() + ptrdiff_t(count), order.end(), [&](int32_t a, int32_t b) {
    return scores[size_t(a)] != scores[size_t(b)] ? scores[size_t(a)] > scores[size_t(b)] : a > b;
  });
  order.resize(count);
  for (int32_t& one : order) one = pages[size_t(one)];
  pages = std::move(order);
}

// Of the pages between sinks and window, those worth reading.
std::vector<int32_t> ranked(const Look& look, const std::vector<uint16_t>& rows, int32_t first, int32_t end) {
  const SelectPlan& plan = look.selector.plan;
  std::vector<int32_t> pages;
  const auto count = size_t(plan.pages);
  if (plan.coarse > 1 &&
      end - first > plan.coarse * plan.pages) {  // one page of each group, then all of the best
    std::vector<int32_t> probes;
    for (int32_t page = first; page < end; page += plan.coarse)
      probes.push_back(std::min(page + plan.coarse / 2, end - 1));
    std::vector<float> scores(probes.size());
    look(rows, probes, scores);
    keep_best(probes, scores, 2 * count);
    for (const int32_t probe : probes) {
      const int32_t group = first + (probe - first) / plan.coarse * plan.coarse;
      for (int32_t page = group; page < std::min(group + plan.coarse, end); ++page) pages.push_back(page);
    }
  } else {
    for (int32_t page = first; page < end; ++page) pages.push_back(page);
  }
  if (pages.size() <= count) return pages;
  std::vector<float> scores(pages.size());
  look(rows, pages, scores);
  keep_best(pages, scores, count);
  return pages;
}

}  // namespace

std::span<const std::span<const KvPageView>> Selection::choose(
    Ops& ops, size_t first, std::span<const std::span<const KvPageView>> lanes, Rows query,
    const AttendSpec& spec) {
  CHECK(query.count() == 1 && first + lanes.size() <= lanes_.size(), "a selection for one query");
  if (spec.window > 0) return lanes;  // it reads few already
  const SelectPlan& plan = selector_->plan;
  const auto own = std::span(lanes_).subspan(first, lanes.size());
  const bool looks = plan.pages > 0 && selector_->shape(key_dim_).rows > 0;
  if (looks || plan.estimate > 0) {
    if (!remember(ops, own, lanes, spec)) return lanes;
  }
  const size_t group = size_t(spec.heads / spec.kv_heads) * size_t(spec.key_dim);
  std::vector<float> queries(group * lanes.size());
  ops.store(query, queries);
  ops.parallel(int64_t(lanes.size()), [&](int64_t i) {
    Lane& lane = own[size_t(i)];
    const auto all = lanes[size_t(i)];
    const auto pages = int32_t(all.size());
    const int32_t begin = std::min(plan.sinks, pages), end = std::max(begin, pages - 1 - plan.window);
    std::vector<bool> read(all.size(), false);
    std::fill(read.begin(), read.begin() + begin, true);
    std::fill(read.begin() + end, read.end(), true);
    const Look look{*selector_, spec, std::span<const float>(queries).subspan(size_t(i) * group, group)};
    if (looks && size_t(end) <= lane.pages) {
      for (const int32_t page : ranked(look, lane.rows, begin, end)) {
        for (int32_t near = page - plan.near; near <= page + plan.near; ++near)
          if (near >= 0 && near < pages) read[size_t(near)] = true;
      }
    }
    lane.chosen.clear();
    if (plan.estimate > 0 && std::find(read.begin(), read.end(), false) != read.end()) {
      const size_t means = kPage / size_t(plan.estimate);
      for (size_t t = 0; t < lane.weights.size(); ++t) {
        lane.weights[t] = t / means < read.size() && read[t / means] ? -std::numeric_limits<float>::infinity()
                                                                     : std::log(float(plan.estimate));
      }
      lane.chosen.push_back({.keys = std::as_bytes(std::span(lane.mean_keys)),
                             .values = std::as_bytes(std::span(lane.mean_values)),
                             .positions = lane.mean_positions,
                             .weights = lane.weights,
                             .codec = *codec_named("f16")});
    }
    for (size_t page = 0; page < all.size(); ++page)
      if (read[page]) lane.chosen.push_back(all[page]);
  });
  chosen_.resize(lanes_.size());
  for (size_t i = 0; i < lanes.size(); ++i) {
    chosen_[first + i] = own[i].chosen;
    of_ += int64_t(lanes[i].size());
    read_ += int64_t(own[i].chosen.size());
  }
  return std::span(chosen_).subspan(first, lanes.size());
}

}  // namespace varve
