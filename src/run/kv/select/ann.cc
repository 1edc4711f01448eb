// After RetrievalAttention (Liu et al. 2024): queries lie elsewhere than keys, so an index over keys that is
// to serve queries is made with queries. Here it is an inverted file, as RetroInfer's (Chen et al. 2025): the
// keys of a few full pages are parted once, when the pages are full, into short lists of keys to which the
// prompt's queries of that stretch give like logits (parting.h), each with its mean. A query reads the lists
// whose mean promises most. The graph that RetrievalAttention walks looks at all keys for every query that it
// is made of; this looks at each key when it comes, and never again.
#include <algorithm>
#include <map>
#include <numeric>

#include "run/kv/select.h"
#include "run/kv/select/parting.h"

namespace varve::kv_select {
namespace {

constexpr int32_t kPage = int32_t(kAttendTile);
constexpr int32_t kMostRows = 256;  // of a prompt that are read together

struct AnnOptions {
  int32_t each = 4, batch = 4;  // tokens of a list, in the mean; pages that are parted together
  int32_t tokens() const { return batch * kPage; }
  size_t lists() const { return size_t(std::max(1, tokens() / each)); }
  // Batches that are not parted yet, of which queries are remembered.
  size_t waiting() const { return size_t(kMostRows / tokens() + 2); }
};

// How means are kept.
const Codec& codec_for(int32_t key_dim) {
  return **codec_named(key_dim % 32 == 0 ? "q8_0" : "f16");
}

class AnnIndex : public LaneIndex {
 public:
  AnnIndex(const SelectPlan& plan, const AnnOptions& options, int32_t key_dim)
      : plan_(plan), options_(options), codec_(codec_for(key_dim)), dim_(size_t(key_dim)) {}

  void watch(const LaneQueries& queries) override {
    for (size_t row = 0; row < queries.count(); ++row) {
      Moments& moments = watched_[(queries.first + int32_t(row)) / options_.tokens()];
      for (size_t head = 0; head < queries.heads; ++head) add_query(queries.at(row, head), moments);
    }
    while (watched_.size() > options_.waiting()) watched_.erase(watched_.begin());
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
    means_.resize(batches * options_.lists() * row_bytes());
    ends_.resize(batches * options_.lists() + 1);
    places_.resize(batches * size_t(options_.tokens()));
    watched_.erase(watched_.lower_bound(int32_t(batches)), watched_.end());
    moments_.clear();
    return known();
  }

 private:
  int32_t known() const { return int32_t(places_.size()); }

  size_t row_bytes() const { return size_t(codec_.bytes_for(int64_t(dim_))); }

  // The next batch of full pages.
  void add(const LaneTokens& lane) {
    const int32_t first = known(), batch = first / options_.tokens();
    std::vector<float> keys;
    lane.keys({first, first + options_.tokens()}, keys);
    // What nobody read a prompt over is parted by the queries before, or as it lies.
    if (auto moments = watched_.extract(batch)) moments_ = std::move(moments.mapped());
    const Parted parted = part(keys, dim_, options_.lists(), moments_);
    const size_t at = means_.size();
    means_.resize(at + options_.lists() * row_bytes());
    codec_.encode(parted.means, std::span(means_).subspan(at));
    for (size_t list = 0; list < options_.lists(); ++list) {
      for (size_t i = 0; i < parted.list_of.size(); ++i)
        if (parted.list_of[i] == list) places_.push_back(uint16_t(i));
      ends_.push_back(int32_t(places_.size()));
    }
  }

  // The share of attention that the mean of each list promises to a token of it, summed over the heads.
  std::vector<float> scored(const std::vector<float>& queries, float scale) const {
    const size_t lists = ends_.size() - 1;
    std::vector<float> scores(lists), logits(lists);
    for (size_t head = 0; lists > 0 && head < queries.size() / dim_; ++head) {
      for (size_t first = 0; first < lists; first += kAttendTile) {
        const size_t n = std::min(kAttendTile, lists - first);
        kernels().score_rows[size_t(*codec_.format())](&means_[first * row_bytes()], n, &queries[head * dim_],
                                                       1, dim_, scale, &logits[first], nullptr);
      }
      const float sum = kernels().exp_sum(logits.data(), kernels().max(logits.data(), lists), lists);
      for (size_t i = 0; i < lists; ++i) scores[i] += logits[i] / sum;
    }
    return scores;
  }

  const SelectPlan plan_;
  const AnnOptions options_;
  const Codec& codec_;
  const size_t dim_;
  Moments moments_;                     // of the queries of the batch before
  std::map<int32_t, Moments> watched_;  // by batches that are not full
  std::vector<std::byte> means_;        // of the lists
  std::vector<int32_t> ends_{0};        // of the lists in places_
  std::vector<uint16_t> places_;        // of tokens in their batch, list by list
};

class Ann : public KvSelector {
 public:
  explicit Ann(const AnnOptions& options) : options_(options) {}
  std::unique_ptr<LaneIndex> index(int32_t key_dim) const override {
    return std::make_unique<AnnIndex>(plan, options_, key_dim);
  }
  int64_t bytes_for(int32_t key_dim, int64_t pages) const override {
    const int64_t list = codec_for(key_dim).bytes_for(key_dim) + int64_t(sizeof(int32_t));
    const int64_t moments = int64_t(key_dim) * (key_dim + 1) / 2 * int64_t(sizeof(float));
    return (pages / options_.batch + 1) * (int64_t(options_.lists()) * list + 2 * options_.tokens()) +
           int64_t(options_.waiting() + 1) * moments;
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
