// After RetrievalAttention (Liu et al. 2024): queries lie elsewhere than keys, so an index over keys that is
// to serve queries is made with queries. Here it is an inverted file, as RetroInfer's (Chen et al. 2025): the
// keys of a few full pages are parted once, when the pages are full, into lists of keys that are alike, each
// with its mean. Alike are keys to which the prompt's queries give like logits: what keys differ by counts
// in every channel as much as the queries of that stretch are large in it. A query reads the lists whose mean
// promises most. The graph that RetrievalAttention walks looks at all keys for every query that it is made
// of; this looks at each key when it comes, and never again.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "run/kv/select.h"

namespace varve::kv_select {
namespace {

constexpr int32_t kPage = int32_t(kAttendTile);
constexpr int32_t kSampled = 2;  // the keys that lists are found with: one in so many
constexpr int32_t kRounds = 4;

struct AnnOptions {
  int32_t each = 16, batch = 4;  // tokens of a list, in the mean; pages that are parted together
  int32_t tokens() const { return batch * kPage; }
  size_t lists() const { return size_t(std::max(1, tokens() / each)); }
};

// Keys of a batch, parted by k-means (Lloyd 1982).
class Parting {
 public:
  Parting(const std::vector<float>& keys, size_t dim, size_t lists) : keys_(keys), dim_(dim), lists_(lists) {}

  // `importance` of every channel.
  void run(std::span<const float> importance) {
    scaled_.resize(keys_.size());
    for (size_t i = 0; i < keys_.size(); ++i) scaled_[i] = keys_[i] * std::sqrt(importance[i % dim_]);
    const size_t tokens = keys_.size() / dim_;
    means_.resize(lists_ * dim_);
    for (size_t list = 0; list < lists_; ++list)
      std::copy_n(&scaled_[list * tokens / lists_ * dim_], dim_, &means_[list * dim_]);
    for (int32_t round = 0; round < kRounds; ++round) {
      assign(kSampled);
      average(scaled_, kSampled);
    }
    assign(1);
    average(keys_, 1);
  }
  std::span<const float> means() const { return means_; }         // of the keys as they are
  std::span<const uint16_t> nearest() const { return nearest_; }  // list of each token

 private:
  // To each token, every `step`-th, its nearest mean: the first of those that are as near.
  void assign(size_t step) {
    std::vector<float> halves(lists_);
    for (size_t i = 0; i < means_.size(); ++i) halves[i / dim_] += means_[i] * means_[i] / 2;
    nearest_.assign(keys_.size() / dim_, 0);
    alignas(64) float products[kAttendTile];
    for (size_t at = 0; at < nearest_.size(); at += step) {
      float best = -std::numeric_limits<float>::infinity();
      for (size_t first = 0; first < lists_; first += kAttendTile) {
        const size_t n = std::min(kAttendTile, lists_ - first);
        kernels().score_rows[size_t(Format::f32)](&means_[first * dim_], n, &scaled_[at * dim_], 1, dim_, 1,
                                                  products, nullptr);
        for (size_t i = 0; i < n; ++i) {
          const float near = products[i] - halves[first + i];
          if (near > best) best = near, nearest_[at] = uint16_t(first + i);
        }
      }
    }
  }
  // A list without tokens keeps its mean.
  void average(const std::vector<float>& rows, size_t step) {
    std::vector<float> sums(means_.size());
    std::vector<int32_t> counts(lists_);
    for (size_t at = 0; at < nearest_.size(); at += step) {
      const size_t list = nearest_[at];
      ++counts[list];
      for (size_t d = 0; d < dim_; ++d) sums[list * dim_ + d] += rows[at * dim_ + d];
    }
    for (size_t i = 0; i < sums.size(); ++i)
      if (counts[i / dim_] > 0) means_[i] = sums[i] / float(counts[i / dim_]);
  }

  const std::vector<float>& keys_;
  const size_t dim_, lists_;
  std::vector<float> scaled_, means_;
  std::vector<uint16_t> nearest_;
};

class AnnIndex : public LaneIndex {
 public:
  AnnIndex(const SelectPlan& plan, const AnnOptions& options, int32_t key_dim)
      : plan_(plan), options_(options), dim_(size_t(key_dim)), importance_(dim_, 1.f) {}

  void watch(const LaneQueries& queries) override {
    for (size_t row = 0; row < queries.count(); ++row) {
      auto& sums = watched_[(queries.first + int32_t(row)) / options_.tokens()];
      sums.resize(dim_);
      for (size_t head = 0; head < queries.heads; ++head) {
        const auto query = queries.at(row, head);
        for (size_t d = 0; d < dim_; ++d) sums[d] += query[d] * query[d];
      }
    }
  }

  int32_t grow(const LaneTokens& lane) override {
    while (known() + options_.tokens() <= lane.full()) add(lane);
    return known();
  }

  void choose(const LaneQueries& queries, const LaneTokens& lane, LaneStretch among,
              std::vector<LaneStretch>& out) override {
    const std::vector<float> scores = scored(queries.pooled(), lane.spec.scale);
    const auto worse = [&](size_t a, size_t b) {
      return scores[a] != scores[b] ? scores[a] < scores[b] : a < b;
    };
    std::vector<size_t> best(scores.size());
    std::iota(best.begin(), best.end(), size_t{0});
    std::make_heap(best.begin(), best.end(), worse);
    for (auto left = int64_t(plan_.pages) * kPage; left > 0 && !best.empty(); best.pop_back()) {
      std::pop_heap(best.begin(), best.end(), worse);
      const size_t list = best.back();
      const int32_t batch = int32_t(list / options_.lists()) * options_.tokens();
      for (int32_t i = ends_[list]; i < ends_[list + 1] && left > 0; ++i) {
        const int32_t place = batch + int32_t(places_[size_t(i)]);
        if (place < among.first || place >= among.end) continue;
        out.push_back({place, place + 1});
        --left;
      }
    }
  }

  int32_t forget(int32_t from_place) override {
    const size_t batches = size_t(std::min(known(), from_place) / options_.tokens());
    means_.resize(batches * options_.lists() * dim_);
    ends_.resize(batches * options_.lists() + 1);
    places_.resize(batches * size_t(options_.tokens()));
    watched_.erase(watched_.lower_bound(int32_t(batches)), watched_.end());
    return known();
  }

 private:
  int32_t known() const { return int32_t(places_.size()); }

  // The next batch of full pages.
  void add(const LaneTokens& lane) {
    const int32_t first = known(), batch = first / options_.tokens();
    lane.keys({first, first + options_.tokens()}, keys_);
    // What nobody read a prompt over is parted by the queries before, or as it lies.
    if (auto sums = watched_.extract(batch)) importance_ = std::move(sums.mapped());
    Parting parting(keys_, dim_, options_.lists());
    parting.run(importance_);
    const size_t at = means_.size();
    means_.resize(at + parting.means().size());
    kernels().encode_f16(parting.means().data(), parting.means().size(), &means_[at]);
    for (size_t list = 0; list < options_.lists(); ++list) {
      for (size_t i = 0; i < parting.nearest().size(); ++i)
        if (parting.nearest()[i] == list) places_.push_back(uint16_t(i));
      ends_.push_back(int32_t(places_.size()));
    }
  }

  // The share of attention that the mean of each list promises to a token of it, summed over the heads.
  std::vector<float> scored(const std::vector<float>& queries, float scale) const {
    const size_t lists = ends_.size() - 1;
    std::vector<float> scores(lists), logits(lists);
    for (size_t head = 0; lists > 0 && head < queries.size() / dim_; ++head) {
      for (size_t first = 0; first < lists; first += kAttendTile) {
        alignas(64) float products[kAttendTile];
        const size_t n = std::min(kAttendTile, lists - first);
        kernels().score_rows[size_t(Format::f16)](&means_[first * dim_], n, &queries[head * dim_], 1, dim_,
                                                  scale, products, nullptr);
        std::copy_n(products, n, &logits[first]);
      }
      const float sum = kernels().exp_sum(logits.data(), kernels().max(logits.data(), lists), lists);
      for (size_t i = 0; i < lists; ++i) scores[i] += logits[i] / sum;
    }
    return scores;
  }

  const SelectPlan plan_;
  const AnnOptions options_;
  const size_t dim_;
  std::vector<float> importance_;                  // of channels, in the batch before
  std::map<int32_t, std::vector<float>> watched_;  // squares of queries, by batches that are not full
  std::vector<uint16_t> means_;                    // of the lists, f16
  std::vector<int32_t> ends_{0};                   // of the lists in places_
  std::vector<uint16_t> places_;                   // of tokens in their batch, list by list
  std::vector<float> keys_;
};

class Ann : public KvSelector {
 public:
  explicit Ann(const AnnOptions& options) : options_(options) {}
  std::unique_ptr<LaneIndex> index(int32_t key_dim) const override {
    return std::make_unique<AnnIndex>(plan, options_, key_dim);
  }
  int64_t bytes_for(int32_t key_dim, int64_t pages) const override {
    const int64_t list = 2 * int64_t(key_dim) + int64_t(sizeof(int32_t));
    return (pages / options_.batch + 1) * (int64_t(options_.lists()) * list + 2 * options_.tokens());
  }

 private:
  AnnOptions options_;
};

}  // namespace

Made ann(const Spec& spec) {
  Spec rest = spec;
  const Spec own = take_options(rest, {"each", "batch"});
  AnnOptions options;
  TRY(OptionReader(own).read("each", options.each, 2, 1024).read("batch", options.batch, 1, 256).done());
  const SelectPlan plan = TRY(read_plan(rest, {.parts = true, .watches = true}));
  std::unique_ptr<KvSelector> made(new Ann(options));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select
