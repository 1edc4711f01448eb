// Neighbours: what was said beside a found turn belongs to it; an answer often shares no word with the
// question that its own question shares. Each hit lends `share` of its score to the turns beside it, and
// `share` of that to the next, up to `reach` turns away.
#include <algorithm>
#include <cmath>

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

  void rerank(const Places& places, std::vector<Hit>& hits) const override {
    std::map<CubeId, double> score;
    for (const Hit& hit : hits) {
      score[hit.id] += hit.score;
      for (int32_t away = 1; away <= options_.reach; ++away) {
        const double lent = hit.score * std::pow(options_.share, away);
        for (int32_t side : {-away, away}) {
          for (CubeId beside : places.beside(hit.id, side)) score[beside] += lent;
        }
      }
    }
    hits.clear();
    for (const auto& [id, sum] : score) hits.push_back({id, float(sum)});
    std::stable_sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) { return a.score > b.score; });
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
