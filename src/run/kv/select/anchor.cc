// AnchorAttention (Zhang et al. 2025): the largest logit of a query mostly lies among the first tokens or the
// newest, so it is an anchor: a token whose logit stays far below it does not matter. The rows of a prompt
// that are computed together judge all tokens by the mean of their queries, and read those that come within
// `apart` of the mean of their anchors. Needs no memory; a written token reads all, and so does a lane that
// is short.
#include <algorithm>
#include <limits>

#include "run/kv/select.h"

namespace varve::kv_select {
namespace {

constexpr int32_t kPage = int32_t(kAttendTile);

class AnchorIndex : public LaneIndex {
 public:
  AnchorIndex(const SelectPlan& plan, float apart) : plan_(plan), apart_(apart) {}
  int32_t grow(const LaneTokens& lane) override { return lane.full(); }
  int32_t forget(int32_t from_place) override { return from_place; }

  void choose(const LaneQueries& queries, const LaneTokens& lane, LaneStretch among,
              std::vector<LaneStretch>& out) override {
    const std::vector<float> mean = queries.pooled();
    const size_t tokens = size_t(among.size());
    std::vector<float> above(tokens, -std::numeric_limits<float>::infinity());  // an anchor, at best
    const std::vector<float> anchors = anchors_of(queries, lane, among);
    for (int32_t place = among.first; place < among.end; place += kPage) {
      const LaneStretch page{place, std::min(place + kPage, among.end)};
      lane.keys(page, keys_);
      for (size_t head = 0; head < queries.heads; ++head) {
        logits(std::span(mean).subspan(head * queries.dim, queries.dim), lane, page);
        for (int32_t i = 0; i < page.size(); ++i) {
          float& best = above[size_t(place - among.first + i)];
          best = std::max(best, logits_[i] - anchors[head]);
        }
      }
    }
    std::vector<int32_t> near;
    for (size_t i = 0; i < tokens; ++i)
      if (above[i] >= -apart_) near.push_back(int32_t(i));
    const auto most = size_t(plan_.pages) * size_t(kPage);
    if (near.size() > most) {
      std::nth_element(near.begin(), near.begin() + ptrdiff_t(most), near.end(), [&](int32_t a, int32_t b) {
        return above[size_t(a)] != above[size_t(b)] ? above[size_t(a)] > above[size_t(b)] : a > b;
      });
      near.resize(most);
    }
    for (const int32_t one : near) out.push_back({among.first + one, among.first + one + 1});
  }

 private:
  void logits(std::span<const float> query, const LaneTokens& lane, LaneStretch of) {
    kernels().score_rows[size_t(Format::f32)](keys_.data(), size_t(of.size()), query.data(), 1, query.size(),
                                              lane.spec.scale, logits_, nullptr);
  }
  // Of each head the mean over the rows of the largest logit outside of `among`, as far as all rows see it.
  std::vector<float> anchors_of(const LaneQueries& queries, const LaneTokens& lane, LaneStretch among) {
    const size_t heads = queries.heads, rows = queries.count();
    std::vector<float> largest(rows * heads, -std::numeric_limits<float>::infinity());
    const auto look = [&](LaneStretch of) {
      for (int32_t place = of.first; place < of.end; place += kPage) {
        const LaneStretch page{place, std::min(place + kPage, of.end)};
        lane.keys(page, keys_);
        for (size_t i = 0; i < largest.size(); ++i) {
          logits(queries.at(i / heads, i % heads), lane, page);
          largest[i] = std::max(largest[i], kernels().max(logits_, size_t(page.size())));
        }
      }
    };
    look({0, among.first});
    look({among.end, queries.first + 1});
    std::vector<float> mean(heads);
    for (size_t i = 0; i < largest.size(); ++i) mean[i % heads] += largest[i] / float(rows);
    return mean;
  }

  const SelectPlan plan_;
  const float apart_;
  std::vector<float> keys_;
  alignas(64) float logits_[kAttendTile];
};

class Anchor : public KvSelector {
 public:
  explicit Anchor(float apart) : apart_(apart) {}
  std::unique_ptr<LaneIndex> index(int32_t) const override {
    return std::make_unique<AnchorIndex>(plan, apart_);
  }
  int64_t bytes_for(int32_t, int64_t) const override { return 0; }

 private:
  float apart_;
};

}  // namespace

Made anchor(const Spec& spec) {
  Spec rest = spec;
  const Spec own = take_options(rest, {"apart"});
  double apart = 12;
  TRY(OptionReader(own).read("apart", apart, 0.0, 1000.0).done());
  SelectPlan plan =
      TRY(read_plan(rest, {.pages = 256, .prompts = 1, .written = false, .parts = true, .looks = true}));
  plan.prompts = 1;
  std::unique_ptr<KvSelector> made(new Anchor(float(apart)));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select
