// Answer: what kind of words can answer. Asked when, a memory with a word of time; asked how many, one with a
// number; a question seldom answers, nor does a greeting.
#include <algorithm>
#include <cmath>

#include "memory/recall/rerank.h"

namespace varve::reranker {
namespace {

struct Options {
  double when = 0.1, number = 0.05, asks = 0.05, length = 0.05;
};

class Answer : public Reranker {
 public:
  explicit Answer(const Options& options) : options_(options) {}

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    for (Hit& hit : hits) {
      const uint32_t slot = asked.entries.find(hit.id);
      if (slot == Entries::kNone) continue;
      const Entries::Entry* entry = &asked.entries[slot];
      double more = options_.length * std::min(1.0, std::log1p(double(entry->length)) / 4);
      if (asked.question.when && entry->tells.time) more += options_.when;
      if (asked.question.number && entry->tells.number) more += options_.number;
      if (entry->tells.asks) more -= options_.asks;
      hit.score += float(more);
    }
    sort_hits(hits);
    return {};
  }

 private:
  Options options_;
};

}  // namespace

Made answer(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("when", options.when, 0.0, 10.0)
          .read("number", options.number, 0.0, 10.0)
          .read("asks", options.asks, 0.0, 10.0)
          .read("length", options.length, 0.0, 10.0)
          .done());
  return std::unique_ptr<Reranker>(new Answer(options));
}

}  // namespace varve::reranker
