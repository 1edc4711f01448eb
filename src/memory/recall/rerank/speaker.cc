// Speaker: a question that names one of those who spoke is mostly answered by what they said themselves, and
// one in the first person by what the user said. A question that names two prefers neither.
#include "memory/recall/rerank.h"

namespace varve::reranker {
namespace {

class Speaker : public Reranker {
 public:
  explicit Speaker(double weight) : weight_(weight) {}

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    std::map<const Entries::Space*, uint32_t> named;  // 0: nobody, or several
    for (Hit& hit : hits) {
      const uint32_t slot = asked.entries.find(hit.id);
      if (slot == Entries::kNone || asked.entries[slot].speaker == 0) continue;
      const Entries::Entry& entry = asked.entries[slot];
      const auto [found, fresh] = named.try_emplace(entry.space, 0);
      if (fresh) {
        const auto all = entry.space->speakers_of(asked.question);
        if (all.size() == 1) found->second = *all.begin();
      }
      if (entry.speaker == found->second) hit.score += float(weight_);
    }
    sort_hits(hits);
    return {};
  }

 private:
  double weight_;
};

}  // namespace

Made speaker(const Spec& spec) {
  double weight = 0.12;
  TRY(OptionReader(spec).read("weight", weight, 0.0, 10.0).done());
  return std::unique_ptr<Reranker>(new Speaker(weight));
}

}  // namespace varve::reranker
