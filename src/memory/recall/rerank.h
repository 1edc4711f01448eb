// Reranker: a later look at what retrievers found together. It sees the question, the words and vectors of
// what was found, and what was said beside it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/ports.h"
#include "memory/recall/entries.h"
#include "memory/recall/query/question.h"
#include "memory/recall/retriever.h"

namespace varve {

// What a derived cube cites, what was derived from a cube, and what it is linked to: a link is a cube without
// words whose sources are its two ends. Evidence has no sources here, whatever an answer cites.
struct Kinship {
  std::string kind;
  std::vector<CubeId> sources, derived, linked;
};

struct Asked {
  const Query& query;
  const Question& question;
  const Entries& entries;
  Scorer* scorer = nullptr;                           // or absent
  std::function<Result<std::string>(CubeId)> text{};  // only for those that read texts
  std::function<Result<Kinship>(CubeId)> kin{};       // only for those that read lineage
};

class Reranker {
 public:
  virtual ~Reranker() = default;
  // Best first, in and out. Scores lie near 0..1 so that what one adds weighs against what another found;
  // hits may be added, none is dropped.
  virtual Status rerank(const Asked& asked, std::vector<Hit>& hits) const = 0;
  // Runs last, outside the index lock, and does not look at `entries`.
  virtual bool reads_texts() const { return false; }
  virtual bool reads_lineage() const { return false; }  // the same, and needs no model
};

void sort_hits(std::vector<Hit>& hits);  // best first; ties go to the older cube

const Registry<Reranker>& rerankers();
namespace reranker {
using Made = Registry<Reranker>::Made;
}

}  // namespace varve
