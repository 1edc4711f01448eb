// Neighbours: what was said beside a found turn belongs to it; an answer often shares no word with the
// question that its own question shares. Each hit lends `share` of its score to the turns beside it, and
// `share` of that to the next, up to `reach` turns away.
#include <cmath>
#include <map>

#include "memory/recall/rerank.h"

namespace varve::reranker {
namespace {

struct Options {
  int32_t reach = 2;
  double share = 0.4;
};

class Neighbours : public Reranker {
 public:
  explicit Neighbours(const Options& options) : options_(options) {}

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    std::map<CubeId, double> score;
    for (const Hit& hit : hits) {
      score[hit.id] += hit.score;
      const uint32_t slot = asked.entries.find(hit.id);
      if (slot == Entries::kNone) continue;
      for (int32_t away = 1; away <= options_.reach; ++away) {
        const double lent = hit.score * std::pow(options_.share, away);
        for (int32_t side : {-away, away}) {
          const uint32_t beside = asked.entries.beside(slot, side);
          if (beside != Entries::kNone) score[asked.entries.id(beside)] += lent;
        }
      }
    }
    hits.clear();
    for (const auto& [id, sum] : score) hits.push_back({id, float(sum)});
    sort_hits(hits);
    return {};
  }

 private:
  Options options_;
};

}  // namespace

Made neighbours(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("reach", options.reach, 1, 10).read("share", options.share, 0.0, 1.0).done());
  return std::unique_ptr<Reranker>(new Neighbours(options));
}

}  // namespace varve::reranker
