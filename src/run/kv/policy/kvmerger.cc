// KVMerger (Wang et al. 2024): neighbours have keys alike. Runs of them become one token each, where
// attention was highest, as a mean by a Gaussian of the distance to it; the newest and those that receive
// most attention stay alone. Where runs are not enough, what receives least is dropped.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "run/kv/policy.h"

namespace varve::kv_policy {
namespace {

struct Options {
  float cosine = 0.75f;
  float recent = 0.25f, heavy = 0.25f;  // shares of what is kept that are left alone
  int count = 0;                        // a mean weighs as many tokens as it was made of
};

class KvMerger : public KvPolicy {
 public:
  explicit KvMerger(Options options) : options_(options) {}

  KvNeeds needs() const override {
    return {.attention = KvNeeds::Attention::accumulated, .keys = true, .merges = true};
  }

  KvPlan plan(const KvLane& lane, size_t keep) const override {
    KvPlan plan;
    plan.fate.assign(lane.size(), Fate::keep);
    plan.counted = options_.count != 0;
    if (keep >= lane.size()) return plan;
    std::vector<bool> alone = left_alone(lane, keep);
    std::vector<bool> joined(lane.size());  // with the one before it
    size_t too_many = lane.size() - keep;
    for (size_t i : alike(lane, alone)) {
      if (too_many == 0) break;
      joined[i] = true;
      --too_many;
    }
    plan.into.resize(lane.size());
    plan.share.assign(lane.size(), 1);
    for (size_t first = 0, end; first < lane.size(); first = end) {
      for (end = first + 1; end < lane.size() && joined[end]; ++end) {
      }
      if (end - first > 1) gather(lane, first, end, plan);
    }
    drop(lane, too_many, plan);
    return plan;
  }

 private:
  std::vector<bool> left_alone(const KvLane& lane, size_t keep) const {
    const auto recent = size_t(options_.recent * float(keep)), heavy = size_t(options_.heavy * float(keep));
    std::vector<bool> alone(lane.size());
    const size_t older = lane.size() - std::max<size_t>(1, recent);
    for (size_t i = older; i < lane.size(); ++i) alone[i] = true;
    std::vector<size_t> order(older);
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return lane.attention[a] > lane.attention[b]; });
    for (size_t i = 0; i < std::min(heavy, older); ++i) alone[order[i]] = true;
    return alone;
  }

  // Tokens that resemble the one before them, most alike first.
  std::vector<size_t> alike(const KvLane& lane, const std::vector<bool>& alone) const {
    const size_t width = lane.keys.size() / lane.size();
    std::vector<float> cosine(lane.size());
    std::vector<size_t> order;
    for (size_t i = 1; i < lane.size(); ++i) {
      if (alone[i] || alone[i - 1]) continue;
      const float *a = &lane.keys[(i - 1) * width], *b = a + width;
      const float norms =
          std::inner_product(a, a + width, a, 1e-20f) * std::inner_product(b, b + width, b, 1e-20f);
      cosine[i] = std::inner_product(a, a + width, b, 0.f) / std::sqrt(norms);
      if (cosine[i] > options_.cosine) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return cosine[a] > cosine[b]; });
    return order;
  }

  static void gather(const KvLane& lane, size_t first, size_t end, KvPlan& plan) {
    const size_t width = lane.keys.size() / lane.size();
    const auto top = std::max_element(lane.attention.begin() + first, lane.attention.begin() + end);
    const auto pivot = size_t(top - lane.attention.begin());
    std::vector<double> distance(end - first);
    double spread = 0;
    for (size_t i = first; i < end; ++i) {
      for (size_t d = 0; d < width; ++d) {
        const double apart = double(lane.keys[i * width + d]) - double(lane.keys[pivot * width + d]);
        distance[i - first] += apart * apart;
      }
      spread += std::sqrt(distance[i - first]);
    }
    spread /= std::sqrt(2.0) * double(end - first);
    for (size_t i = first; i < end; ++i) {
      plan.share[i] = spread > 0 ? float(std::exp(-distance[i - first] / (2 * spread * spread))) : 1;
      if (i == pivot) continue;
      plan.fate[i] = Fate::merge;
      plan.into[i] = int32_t(pivot);
    }
  }

  static void drop(const KvLane& lane, size_t too_many, KvPlan& plan) {
    std::vector<size_t> order;
    std::vector<bool> absorbs(lane.size());
    for (size_t i = 0; i < lane.size(); ++i) {
      if (plan.fate[i] == Fate::merge) absorbs[size_t(plan.into[i])] = true;
    }
    for (size_t i = 0; i + 1 < lane.size(); ++i) {
      if (plan.fate[i] == Fate::keep && !absorbs[i]) order.push_back(i);
    }
    // Older first where attention is the same, so that the newest stay when nothing is known.
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return lane.attention[a] < lane.attention[b]; });
    for (size_t i : order) {
      if (too_many == 0) return;
      plan.fate[i] = Fate::drop;
      --too_many;
    }
    for (size_t i = 0; i < lane.size() && too_many > 0; ++i) {  // runs then, whole
      if (!absorbs[i]) continue;
      plan.fate[i] = Fate::drop;
      for (size_t j = 0; j < lane.size(); ++j) {
        if (plan.fate[j] == Fate::merge && size_t(plan.into[j]) == i) plan.fate[j] = Fate::drop;
      }
      --too_many;
    }
  }

  Options options_;
};

}  // namespace

Made kvmerger(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("cosine", options.cosine, -1.f, 1.f)
          .read("recent", options.recent, 0.f, 1.f)
          .read("heavy", options.heavy, 0.f, 1.f)
          .read("count", options.count, 0, 1)
          .done());
  if (options.recent + options.heavy > 1) return Status(Code::invalid, "recent and heavy are more than all");
  return std::unique_ptr<KvPolicy>(new KvMerger(options));
}

}  // namespace varve::kv_policy
