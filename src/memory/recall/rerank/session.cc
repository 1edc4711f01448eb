// Session: a turn is worth more in a conversation that was about the question: where many of its words were
// found, in whatever turns. Counts what was found, so that it costs no look at the whole session.
#include <unordered_map>

#include "memory/recall/rerank.h"

namespace varve::reranker {
namespace {

class Session : public Reranker {
 public:
  explicit Session(double weight) : weight_(weight) {}

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    std::unordered_map<const Entries::Space*, Terms> terms;
    std::unordered_map<const void*, std::vector<double>> counts;  // by talk
    for (const Hit& hit : hits) {
      const uint32_t slot = asked.entries.find(hit.id);
      if (slot == Entries::kNone || asked.entries[slot].talk == nullptr) continue;
      const Entries::Entry& entry = asked.entries[slot];
      const auto [found, fresh] = terms.try_emplace(entry.space);
      if (fresh) found->second = worth_in(*entry.space, asked.question);
      auto& sums = counts[entry.talk];
      sums.resize(found->second.size());
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += entry.times(found->second[i].first);
    }
    for (Hit& hit : hits) {
      const uint32_t slot = asked.entries.find(hit.id);
      if (slot == Entries::kNone || asked.entries[slot].talk == nullptr) continue;
      const Terms& words = terms[asked.entries[slot].space];
      const auto& sums = counts[asked.entries[slot].talk];
      for (size_t i = 0; i < sums.size(); ++i)
        hit.score += float(weight_ * words[i].second * sums[i] / (sums[i] + 2));
    }
    sort_hits(hits);
    return {};
  }

 private:
  using Terms = std::vector<std::pair<uint32_t, double>>;  // number, and worth of the whole

  static Terms worth_in(const Entries::Space& space, const Question& question) {
    Terms words;
    double total = 0;
    for (const std::string& term : question.terms) {
      const TermKey key = term_key(term);
      if (space.is_name(key)) continue;
      const uint32_t number = space.keys.find(key);
      total += space.idf(number);
      if (number != Entries::kNone) words.emplace_back(number, space.idf(number));
    }
    for (auto& [number, worth] : words) worth /= total;
    return words;
  }

  double weight_;
};

}  // namespace

Made session(const Spec& spec) {
  double weight = 0.3;
  TRY(OptionReader(spec).read("weight", weight, 0.0, 10.0).done());
  return std::unique_ptr<Reranker>(new Session(weight));
}

}  // namespace varve::reranker
