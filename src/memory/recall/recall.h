// Recall: a query to ranked cubes within a token allowance. Retrievers of a recipe, fused; rights and
// validity applied; every score kept for `explain`. Observes the store, so its indexes are always current.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/ports.h"
#include "core/budget/ledger.h"
#include "memory/cube/cube_store.h"
#include "memory/recall/aggregate.h"
#include "memory/recall/present.h"
#include "memory/recall/retriever.h"

namespace varve {

struct RecallQuery {
  std::string text;
  std::string space;                // empty: all that the principal may read
  int32_t limit = 20;               // cubes
  int32_t token_budget = 0;         // 0: none; else the words returned fit it (characters / 4)
  std::string skip_session;         // words still in the prompt need no recall: those of it,
  int32_t skip_from_turn = 0;       // from this turn on
  std::optional<TimeMs> as_of;      // what was true then; default: what is true now
  std::optional<TimeMs> known_at;   // what was recorded by then, in the version of then
  std::optional<TimeMs> reference;  // what "yesterday" in the text is counted from; default: now
  std::vector<std::string> kinds;   // only cubes of these kinds; empty: of all
};

class Recall : public CubeObserver {
 public:
  // `recipe`: retriever specs joined by '+', e.g. "bm25+dense"; "default" is the shipped profile. `embedder`
  // and `scorer` may be null: then what needs them is refused by name.
  static Result<std::unique_ptr<Recall>> make(std::string_view recipe, CubeStore& store,
                                              const Embedder* embedder, Ledger& ledger,
                                              const Clock& clock = system_clock(), Scorer* scorer = nullptr);
  virtual Result<std::vector<Recalled>> gather(const Principal& who, const RecallQuery& query) const = 0;
  // Of a question about all memories ("how often", "the first time", "the last three", "who most often"):
  // counted over every cube that has its words, not over the nearest. nullopt: it is no such question.
  virtual Result<std::optional<Aggregate>> aggregate(const Principal&, const RecallQuery&) const {
    return std::optional<Aggregate>();
  }
  virtual int64_t bytes() const = 0;
};

}  // namespace varve
