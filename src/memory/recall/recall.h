// Recall: a query to ranked cubes within a token allowance. Retrievers of a recipe, fused; rights and
// validity applied; every score kept for `explain`. Observes the store, so its indexes are always current.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/ports.h"
#include "core/budget/ledger.h"
#include "core/io/env.h"
#include "memory/cube/cube_store.h"
#include "memory/recall/present.h"
#include "memory/recall/query/aggregate.h"
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

// What recall may have beside the store.
struct RecallGround {
  Scorer* scorer = nullptr;             // null: what needs one is refused by name
  Env* env = nullptr;                   // null: all stays in RAM
  std::string folder;                   // of the indexes: of no worth without their store
  std::vector<const Embedder*> former;  // whose vectors may still be there: searched until all are made anew
  int64_t embed_at_once = 4096;         // memories that opening waits for; a thread goes on with the others
};

struct RecallState {
  struct Index {
    std::string spec, embedder;
    int64_t bytes = 0;
    bool former = false, complete = true;
  };
  std::vector<Index> indexes;
  std::string opened;               // "loaded", "loaded, and 3 changes read", "built", and why
  int64_t memories = 0, bytes = 0;  // bytes: RAM
  int64_t vector_bytes = 0;         // of them: vectors and what finds them
  int64_t to_embed = 0;             // memories that the present embedder has not seen yet
  int64_t unsaved = 0;              // changes since the file was written
  bool file = false, fits = true;   // file: there is one to open with
};

class Recall {
 public:
  virtual ~Recall() = default;
  // `recipe`: retriever specs joined by '+', e.g. "bm25+dense"; "default" is the shipped profile. `embedder`
  // may be null: then what needs it is refused by name.
  static Result<std::unique_ptr<Recall>> make(std::string_view recipe, CubeStore& store,
                                              const Embedder* embedder, Ledger& ledger,
                                              const Clock& clock = system_clock(),
                                              const RecallGround& ground = {});
  virtual Result<std::vector<Recalled>> gather(const Principal& who, const RecallQuery& query) const = 0;
  // Of a question about all memories ("how often", "the first time", "the last three", "who most often"):
  // counted over every cube that has its words, not over the nearest. nullopt: it is no such question.
  virtual Result<std::optional<Aggregate>> aggregate(const Principal&, const RecallQuery&) const {
    return std::optional<Aggregate>();
  }
  virtual int64_t bytes() const = 0;
  virtual RecallState state() const = 0;
  virtual Status rebuild() = 0;  // throws every index away and builds it from the store
  virtual Status settle() = 0;   // waits until nothing is left to embed, and writes the file
};

}  // namespace varve
