// Entropy: the router of MemGAS (Xu et al. 2025). Memories of one kind are one granularity (turns, key words,
// summaries); the surer a granularity is of what it found, the lower the entropy of its scores, the more it
// weighs. What units and those associated with them score goes to the turns that they cite.
#include <algorithm>
#include <cmath>
#include <map>

#include "memory/recall/rerank.h"

namespace varve::reranker {
namespace {

constexpr size_t kLookedAt = 60;  // of the best

struct Options {
  double sharpness = 5;  // of the softmax over scores of 0..1
  double down = 0.5;     // of a unit's score, to the turns it cites
  double side = 0.5;     // of that, to those of the units associated with it
  double keep = 0.1;     // that stays with a unit
};

class Router : public Reranker {
 public:
  explicit Router(const Options& options) : options_(options) {}
  bool reads_lineage() const override { return true; }

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    if (!asked.kin) return {};
    std::map<CubeId, float> total;
    for (const Hit& hit : hits) total[hit.id] = hit.score;
    std::map<std::string, std::vector<std::pair<Hit, Kinship>>> units;  // by kind
    for (size_t i = 0; i < hits.size() && i < kLookedAt; ++i) {
      auto kin = asked.kin(hits[i].id);
      if (kin.ok() && !kin->sources.empty()) units[kin->kind].emplace_back(hits[i], *kin);
    }
    double surest = 1e-9;
    for (const auto& [kind, all] : units) surest = std::max(surest, sureness(all));
    for (const auto& [kind, all] : units) {
      const double weight = sureness(all) / surest;
      for (const auto& [hit, kin] : all) {
        total[hit.id] -= float(1 - options_.keep) * hit.score;
        give(asked, kin, options_.down * weight * hit.score, total);
      }
    }
    hits.clear();
    for (const auto& [id, score] : total) hits.push_back({id, score});
    sort_hits(hits);
    return {};
  }

 private:
  // 1 less the entropy of the softmax, as a share of the largest there could be.
  double sureness(const std::vector<std::pair<Hit, Kinship>>& all) const {
    if (all.size() < 2) return 1;
    double best = 1e-9, sum = 0, entropy = 0;
    for (const auto& [hit, kin] : all) best = std::max(best, double(hit.score));
    for (const auto& [hit, kin] : all) sum += std::exp(options_.sharpness * (hit.score / best - 1));
    for (const auto& [hit, kin] : all) {
      const double p = std::exp(options_.sharpness * (hit.score / best - 1)) / sum;
      entropy -= p * std::log(p);
    }
    return std::max(0.0, 1 - entropy / std::log(double(all.size())));
  }

  void give(const Asked& asked, const Kinship& unit, double score, std::map<CubeId, float>& total) const {
    const auto down = [&](const std::vector<CubeId>& sources, double much) {
      for (const CubeId& source : sources) total[source] += float(much / std::sqrt(double(sources.size())));
    };
    down(unit.sources, score);
    for (const CubeId& other : unit.linked) {
      if (const auto far = asked.kin(other); far.ok()) down(far->sources, options_.side * score);
    }
  }

  const Options options_;
};

}  // namespace

Made entropy(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("sharpness", options.sharpness, 0.0, 100.0)
          .read("down", options.down, 0.0, 10.0)
          .read("side", options.side, 0.0, 10.0)
          .read("keep", options.keep, 0.0, 1.0)
          .done());
  return std::unique_ptr<Reranker>(new Router(options));
}

}  // namespace varve::reranker
