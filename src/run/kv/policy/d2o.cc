// D2O (Wan et al. 2024): what H2O would drop is merged into the kept key that it resembles most, when it
// resembles it more than such tokens did so far; the rest is dropped. Each counts in the mean by its cosine.
// The mean's weight stays that of one token (count=1 gives it that of all); layers share by allot=d2o.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "run/kv/policy.h"

namespace varve::kv_policy {
namespace {

struct Options {
  int sinks = 4;
  float recent = 0.5f;  // share of what is kept
  int count = 0;
};

class D2o : public KvPolicy {
 public:
  explicit D2o(Options options) : options_(options) {}

  KvNeeds needs() const override {
    return {.attention = KvNeeds::Attention::accumulated, .keys = true, .merges = true, .memo = 1};
  }

  KvPlan plan(const KvLane& lane, size_t keep) const override {
    KvPlan plan = ByAttention(options_).plan(lane, keep);
    plan.counted = options_.count != 0;
    if (keep == 0 || keep >= lane.size()) return plan;
    const Nearest nearest = look(lane, plan);
    float& bar = lane.memo[0];
    bar = bar == 0 ? nearest.mean : (bar + nearest.mean) / 2;
    plan.into = nearest.into;
    plan.share.assign(lane.size(), 1);
    for (size_t i = 0; i < lane.size(); ++i) {
      if (plan.fate[i] != Fate::drop || nearest.cosine[i] < bar || nearest.cosine[i] <= 0) continue;
      plan.fate[i] = Fate::merge;
      plan.share[i] = nearest.cosine[i];
    }
    return plan;
  }

 private:
  class ByAttention : public RankingPolicy {
   public:
    explicit ByAttention(Options options) : options_(options) {}
    void score(const KvLane& lane, size_t keep, std::span<float> scores) const override {
      const auto recent = size_t(options_.recent * float(keep));
      for (size_t i = 0; i < lane.size(); ++i) {
        const bool stays = lane.positions[i] < options_.sinks || i + recent >= lane.size();
        scores[i] = stays ? kStays : lane.attention[i];
      }
    }

   private:
    Options options_;
  };

  struct Nearest {  // of what is dropped, among what stays
    std::vector<int32_t> into;
    std::vector<float> cosine;
    float mean = 0;
  };
  static Nearest look(const KvLane& lane, const KvPlan& plan) {
    const size_t width = lane.keys.size() / lane.size();
    std::vector<float> units(lane.keys.begin(), lane.keys.end());
    for (size_t i = 0; i < lane.size(); ++i) {
      const auto key = std::span(units).subspan(i * width, width);
      const float norm = std::sqrt(std::inner_product(key.begin(), key.end(), key.begin(), 1e-20f));
      for (float& one : key) one /= norm;
    }
    Nearest nearest{std::vector<int32_t>(lane.size()), std::vector<float>(lane.size(), -1)};
    size_t dropped = 0;
    for (size_t i = 0; i < lane.size(); ++i) {
      if (plan.fate[i] != Fate::drop) continue;
      const float* own = &units[i * width];
      for (size_t j = 0; j < lane.size(); ++j) {
        if (plan.fate[j] != Fate::keep) continue;
        const float cosine = std::inner_product(own, own + width, &units[j * width], 0.f);
        if (cosine <= nearest.cosine[i]) continue;
        nearest.cosine[i] = cosine;
        nearest.into[i] = int32_t(j);
      }
      nearest.mean += nearest.cosine[i];
      ++dropped;
    }
    nearest.mean /= float(std::max<size_t>(1, dropped));
    return nearest;
  }

  Options options_;
};

}  // namespace

Made d2o(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("sinks", options.sinks, 0, 1024)
          .read("recent", options.recent, 0.f, 1.f)
          .read("count", options.count, 0, 1)
          .done());
  return std::unique_ptr<KvPolicy>(new D2o(options));
}

}  // namespace varve::kv_policy
