// Lineage: what was derived is a key, what was said is the value. A note, a summary or a query that was found
// gives its score to the evidence that it cites, to what it is linked to and, with `up`, to what was derived
// from it: G-Memory's walk (Zhang et al. 2025) from queries up to insights and down to interactions, and
// A-MEM's (Xu et al. 2025) to linked notes. Reads the store for the best hits, so it costs milliseconds.
#include <cmath>
#include <map>

#include "memory/recall/rerank.h"

namespace varve::reranker {
namespace {

constexpr size_t kLookedAt = 60;  // of the best

struct Options {
  double down = 0.5;  // share of a score that goes to the sources together
  double side = 0.3;  // to each cube that is linked
  double up = 0;      // to each cube derived from it
  double keep = 0.1;  // that stays with what is derived
};

class LineageWalk : public Reranker {
 public:
  explicit LineageWalk(const Options& options) : options_(options) {}
  bool reads_lineage() const override { return true; }

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    if (!asked.kin) return {};
    std::map<CubeId, float> scores;
    for (const Hit& hit : hits) scores[hit.id] = hit.score;
    for (size_t i = 0; i < hits.size() && i < kLookedAt; ++i) {
      auto kin = asked.kin(hits[i].id);
      if (!kin.ok()) continue;  // erased since it was found
      give(asked, *kin, hits[i].score, scores);
      for (const CubeId& above : kin->derived) {
        if (options_.up > 0) scores[above] += float(options_.up) * hits[i].score;
      }
      if (!kin->sources.empty()) scores[hits[i].id] -= float(1 - options_.keep) * hits[i].score;
    }
    hits.clear();
    for (const auto& [id, score] : scores) hits.push_back({id, score});
    sort_hits(hits);
    return {};
  }

 private:
  void give(const Asked& asked, const Kinship& kin, float score, std::map<CubeId, float>& scores) const {
    const auto down = [&](const std::vector<CubeId>& sources, double much) {
      for (const CubeId& source : sources) scores[source] += float(much / std::sqrt(double(sources.size())));
    };
    down(kin.sources, options_.down * score);
    for (const CubeId& other : kin.linked) {
      scores[other] += float(options_.side) * score;
      if (const auto far = asked.kin(other); far.ok())
        down(far->sources, options_.down * options_.side * score);
    }
  }

  const Options options_;
};

}  // namespace

Made lineage(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("down", options.down, 0.0, 10.0)
          .read("side", options.side, 0.0, 10.0)
          .read("up", options.up, 0.0, 10.0)
          .read("keep", options.keep, 0.0, 1.0)
          .done());
  return std::unique_ptr<Reranker>(new LineageWalk(options));
}

}  // namespace varve::reranker
