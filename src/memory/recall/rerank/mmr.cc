// Maximal marginal relevance (Carbonell & Goldstein 1998): the next is the one that is good and unlike those
// before it. Likeness is the cosine of vectors, or the share of common terms where there are none.
#include <algorithm>

#include "memory/recall/rerank.h"

namespace varve::reranker {
namespace {

struct Options {
  double keep = 0.7;   // of its score; the rest is what likeness takes away
  int32_t depth = 50;  // so many are weighed against each other; those after follow as they were
};

double likeness(const Entries& entries, uint32_t one, std::span<const int8_t> mine, uint32_t other) {
  std::vector<int8_t> room;
  const auto theirs = entries.vector(other, room);
  if (!mine.empty() && mine.size() == theirs.size()) {
    int64_t sum = 0;
    for (size_t i = 0; i < mine.size(); ++i) sum += mine[i] * theirs[i];
    return std::max(0.0, double(sum) / (127.0 * 127.0));
  }
  const Entries::Entry &a = entries[one], &b = entries[other];
  if (a.space != b.space || a.terms.empty() || b.terms.empty()) return 0;
  size_t common = 0;
  for (const Entries::Count& count : a.terms) common += b.times(count.term) > 0;
  return double(common) / double(a.terms.size() + b.terms.size() - common);
}

class Mmr : public Reranker {
 public:
  explicit Mmr(const Options& options) : options_(options) {}

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    const size_t depth = std::min(hits.size(), size_t(options_.depth));
    if (depth < 2) return {};
    const double best = std::max(hits.front().score, 1e-6f);
    std::vector<double> alike(depth);  // to the likest of those taken
    const float floor = hits[depth - 1].score;
    for (size_t taken = 0; taken < depth; ++taken) {
      const auto value = [&](size_t i) {
        return options_.keep * hits[i].score / best - (1 - options_.keep) * alike[i];
      };
      size_t next = taken;
      for (size_t i = taken + 1; i < depth; ++i) {
        if (value(i) > value(next)) next = i;
      }
      // The others keep their order.
      std::rotate(hits.begin() + int64_t(taken), hits.begin() + int64_t(next),
                  hits.begin() + int64_t(next) + 1);
      std::rotate(alike.begin() + int64_t(taken), alike.begin() + int64_t(next),
                  alike.begin() + int64_t(next) + 1);
      note_likeness(asked.entries, hits, taken, alike);
    }
    // Scores follow the order: each at most the one before it, none below those that were not weighed.
    for (size_t i = 1; i < depth; ++i)
      hits[i].score = std::max(floor, std::min(hits[i].score, hits[i - 1].score));
    return {};
  }

 private:
  static void note_likeness(const Entries& entries, const std::vector<Hit>& hits, size_t taken,
                            std::vector<double>& alike) {
    const uint32_t slot = entries.find(hits[taken].id);
    if (slot == Entries::kNone) return;
    std::vector<int8_t> room;
    const auto mine = entries.vector(slot, room);
    for (size_t i = taken + 1; i < alike.size(); ++i) {
      const uint32_t other = entries.find(hits[i].id);
      if (other != Entries::kNone) alike[i] = std::max(alike[i], likeness(entries, slot, mine, other));
    }
  }

  Options options_;
};

}  // namespace

Made mmr(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("keep", options.keep, 0.0, 1.0).read("depth", options.depth, 2, 1000).done());
  return std::unique_ptr<Reranker>(new Mmr(options));
}

}  // namespace varve::reranker
