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
#include "memory/recall/present.h"
#include "memory/recall/retriever.h"

namespace varve {

struct RecallQuery {
  std::string text;
  std::string space;           // empty: all that the principal may read
  int32_t limit = 20;          // cubes
  int32_t token_budget = 0;    // 0: none; else the words returned fit it (characters / 4)
  std::string skip_session;    // words still in the prompt need no recall: those of it,
  int32_t skip_from_turn = 0;  // from this turn on
  std::optional<TimeMs> as_of;
  std::optional<TimeMs> reference;  // what "yesterday" in the text is counted from; default: now
};

class Recall : public CubeObserver {
 public:
  // `recipe`: retriever specs joined by '+', e.g. "bm25+dense"; "default" is the shipped profile. `embedder`
  // and `scorer` may be null: then what needs them is refused by name.
  static Result<std::unique_ptr<Recall>> make(std::string_view recipe, CubeStore& store,
                                              const Embedder* embedder, Ledger& ledger,
                                              const Clock& clock = system_clock(), Scorer* scorer = nullptr);
  virtual Result<std::vector<Recalled>> gather(const Principal& who, const RecallQuery& query) const = 0;
  virtual int64_t bytes() const = 0;
};

}  // namespace varve
