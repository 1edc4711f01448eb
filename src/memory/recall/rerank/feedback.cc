// Feedback: what the best documents have in common says more of what was meant than the question did
// (relevance models, Lavrenko & Croft 2001, in the weighting of Rocchio). Only for what was said in no
// session: the few words of a turn have too little in common with the next, and a talk has its neighbours
// instead.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "memory/recall/rerank.h"

namespace varve::reranker {
namespace {

struct Options {
  double weight = 0.7;
  int32_t rounds = 2;  // the better the best are, the better is what they teach
  int32_t best = 8;    // documents learnt from
  int32_t terms = 30;  // learnt, at most
  int32_t depth = 200;
};

class Feedback : public Reranker {
 public:
  explicit Feedback(const Options& options) : options_(options) {}

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    for (int32_t round = 0; round < options_.rounds; ++round) once(asked, hits);
    return {};
  }

 private:
  void once(const Asked& asked, std::vector<Hit>& hits) const {
    std::vector<std::pair<size_t, const Entries::Entry*>> documents;  // place in hits
    for (size_t i = 0; i < std::min(hits.size(), size_t(options_.depth)); ++i) {
      const uint32_t slot = asked.entries.find(hits[i].id);
      if (slot != Entries::kNone && asked.entries[slot].talk == nullptr)
        documents.emplace_back(i, &asked.entries[slot]);
    }
    // Terms have numbers in one space only; the best document says which.
    if (documents.empty()) return;
    const Entries::Space* space = documents.front().second->space;
    std::erase_if(documents, [&](const auto& one) { return one.second->space != space; });
    const auto learnt = learn(*space, documents, hits);
    for (const auto& [place, entry] : documents) {
      double sum = 0;
      for (const auto& [term, worth] : learnt) sum += worth * saturated(*entry, term);
      hits[place].score += float(options_.weight * sum);
    }
    sort_hits(hits);
  }

  using Documents = std::vector<std::pair<size_t, const Entries::Entry*>>;

  static double saturated(const Entries::Entry& entry, uint32_t term) {
    const double length = 0.25 + 0.75 * entry.length / entry.space->average_length();
    const double times = entry.times(term) / length;
    return times / (times + 1.2);
  }

  // The terms that the best documents share, with worths that sum to 1.
  std::vector<std::pair<uint32_t, double>> learn(const Entries::Space& space, const Documents& documents,
                                                 const std::vector<Hit>& hits) const {
    std::unordered_map<uint32_t, double> sums;
    for (size_t i = 0; i < std::min(documents.size(), size_t(options_.best)); ++i) {
      const auto& [place, entry] = documents[i];
      for (const Entries::Count& one : entry->terms)
        sums[one.term] += std::max(0.0f, hits[place].score) * saturated(*entry, one.term);
    }
    std::vector<std::pair<uint32_t, double>> learnt;
    for (const auto& [term, sum] : sums) learnt.emplace_back(term, sum * space.idf(term));
    std::sort(learnt.begin(), learnt.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    if (learnt.size() > size_t(options_.terms)) learnt.resize(size_t(options_.terms));
    double total = 0;
    for (const auto& [term, worth] : learnt) total += worth;
    for (auto& [term, worth] : learnt) worth = total > 0 ? worth / total : 0;
    return learnt;
  }

  Options options_;
};

}  // namespace

Made feedback(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("weight", options.weight, 0.0, 10.0)
          .read("rounds", options.rounds, 1, 10)
          .read("best", options.best, 1, 1000)
          .read("terms", options.terms, 1, 10000)
          .read("depth", options.depth, 1, 10000)
          .done());
  return std::unique_ptr<Reranker>(new Feedback(options));
}

}  // namespace varve::reranker
