// RetrievalAttention (Liu et al. 2024): queries lie elsewhere than keys, so an index over keys that is to
// serve queries is built from queries. Every `sample`-th row of a prompt leaves one query a lane, which lists
// the `list` tokens of the lane that answer it best, whenever they came; a written token reads what the
// `probes` queries most like its own list. The paper links listed keys to a graph and walks it; here the
// lists are read. Where no prompt was watched (its state was restored), keys stand for queries.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "run/kv/select.h"

namespace varve::kv_select {
namespace {

struct AnnOptions {
  int32_t sample = 16, list = 32, probes = 16;
};

class AnnIndex : public LaneIndex {
 public:
  AnnIndex(const SelectPlan& plan, const AnnOptions& options, int32_t key_dim)
      : plan_(plan), options_(options), dim_(size_t(key_dim)) {}

  void watch(const LaneQueries& queries) override {
    if (!watched_) forget(0);
    watched_ = true;
    for (size_t row = 0; row < queries.count(); ++row) {
      const int32_t place = queries.first + int32_t(row), sample = options_.sample;
      if (place % sample == 0) append(queries.at(row, size_t(place / sample) % queries.heads), place);
    }
  }

  int32_t grow(const LaneTokens& lane) override {
    const int32_t full = lane.full();
    if (!watched_) sample_keys(lane);
    for (int32_t place = known_; place < full; place += int32_t(kAttendTile)) {
      lane.keys({place, place + int32_t(kAttendTile)}, keys_);
      for (size_t i = 0; i < lists_.size(); ++i)
        if (lists_[i].known <= place) enlist(i, lane.spec.scale, place);
    }
    known_ = full;
    return full;
  }

  void choose(const LaneQueries& queries, const LaneTokens& lane, LaneStretch among,
              std::vector<LaneStretch>& out) override {
    const std::vector<float> pooled = queries.pooled();
    auto left = int64_t(plan_.pages) * int64_t(kAttendTile);
    const auto most = std::min(size_t(options_.probes), lists_.size());
    std::vector<std::vector<size_t>> nearest;
    for (size_t head = 0; head < queries.heads; ++head)
      nearest.push_back(near(std::span(pooled).subspan(head * dim_, dim_), lane.spec.scale, most));
    for (size_t i = 0; i < most; ++i) {  // of every head the nearest first
      for (const auto& of_head : nearest) {
        for (const Entry& one : lists_[of_head[i]].best) {
          if (one.place < among.first || one.place >= among.end || left <= 0) continue;
          out.push_back({one.place, one.place + 1});
          --left;
        }
      }
    }
  }

  // A list that knew what goes is made anew: it does not say what else would have been in it.
  void forget(int32_t from_place) override {
    while (!lists_.empty() && lists_.back().of >= from_place) lists_.pop_back();
    queries_.resize(lists_.size() * dim_);
    lengths_.resize(lists_.size());
    if (lists_.empty()) watched_ = false;
    for (List& one : lists_) {
      if (one.known > from_place) one.known = 0, one.best.clear();
    }
    known_ = 0;
  }

 private:
  struct Entry {
    float logit;
    int32_t place;
    // Ties to the newer, so that a list does not depend on the order of its making.
    bool operator<(const Entry& other) const {
      return logit != other.logit ? logit > other.logit : place > other.place;
    }
  };
  struct List {
    std::vector<Entry> best;  // the best first
    int32_t of = 0;           // the place of the token whose query it belongs to
    int32_t known = 0;        // tokens that it was made of
  };

  void append(std::span<const float> query, int32_t of) {
    const size_t at = queries_.size();
    queries_.resize(at + dim_);
    kernels().encode_f16(query.data(), dim_, &queries_[at]);
    float square = 0;
    for (const float one : query) square += one * one;
    lengths_.push_back(std::sqrt(std::max(square, 1e-20f)));
    lists_.push_back({{}, of, 0});
    known_ = 0;
  }
  void sample_keys(const LaneTokens& lane) {
    for (int32_t place = lists_.empty() ? 0 : lists_.back().of + options_.sample; place < lane.full();
         place += options_.sample) {
      lane.keys({place, place + 1}, keys_);
      append(keys_, place);
    }
  }

  // The page whose keys are in keys_, whose first token is at `place`, into list i.
  void enlist(size_t i, float scale, int32_t place) {
    alignas(64) float logits[kAttendTile];
    query_.resize(dim_);
    kernels().decode[size_t(Format::f16)](&queries_[i * dim_], dim_, query_.data());
    kernels().score_rows[size_t(Format::f32)](keys_.data(), kAttendTile, query_.data(), 1, dim_, scale,
                                              logits, nullptr);
    List& list = lists_[i];
    list.known = place + int32_t(kAttendTile);
    const auto most = size_t(options_.list);
    for (size_t t = 0; t < kAttendTile; ++t) {
      const Entry entry{logits[t], place + int32_t(t)};
      if (list.best.size() == most) {
        if (!(entry < list.best.back())) continue;
        list.best.pop_back();
      }
      list.best.insert(std::upper_bound(list.best.begin(), list.best.end(), entry), entry);
    }
  }

  // The queries whose direction is nearest.
  std::vector<size_t> near(std::span<const float> query, float scale, size_t most) const {
    std::vector<float> like(lists_.size());
    for (size_t first = 0; first < like.size(); first += kAttendTile) {
      alignas(64) float products[kAttendTile];
      const size_t n = std::min(kAttendTile, like.size() - first);
      kernels().score_rows[size_t(Format::f16)](&queries_[first * dim_], n, query.data(), 1, dim_, scale,
                                                products, nullptr);
      for (size_t i = 0; i < n; ++i) like[first + i] = products[i] / lengths_[first + i];
    }
    std::vector<size_t> order(like.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::partial_sort(order.begin(), order.begin() + ptrdiff_t(most), order.end(),
                      [&](size_t a, size_t b) { return like[a] != like[b] ? like[a] > like[b] : a > b; });
    order.resize(most);
    return order;
  }

  const SelectPlan plan_;
  const AnnOptions options_;
  const size_t dim_;
  bool watched_ = false;  // else the queries are keys
  int32_t known_ = 0;     // tokens that every list was made of
  std::vector<uint16_t> queries_;
  std::vector<float> lengths_;
  std::vector<List> lists_;  // of each query
  std::vector<float> keys_, query_;
};

class Ann : public KvSelector {
 public:
  explicit Ann(const AnnOptions& options) : options_(options) {}
  std::unique_ptr<LaneIndex> index(int32_t key_dim) const override {
    return std::make_unique<AnnIndex>(plan, options_, key_dim);
  }
  int64_t bytes_for(int32_t key_dim, int64_t pages) const override {
    return (pages * int64_t(kAttendTile) / options_.sample + 1) *
           (2 * int64_t(key_dim) + 4 + 40 + 8 * options_.list);
  }

 private:
  AnnOptions options_;
};

}  // namespace

Made ann(const Spec& spec) {
  Spec rest = spec;
  const Spec own = take_options(rest, {"sample", "list", "probes"});
  AnnOptions options;
  TRY(OptionReader(own)
          .read("sample", options.sample, 1, 4096)
          .read("list", options.list, 1, 4096)
          .read("probes", options.probes, 1, 4096)
          .done());
  const SelectPlan plan = TRY(read_plan(rest, {.parts = true, .watches = true}));
  std::unique_ptr<KvSelector> made(new Ann(options));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select
