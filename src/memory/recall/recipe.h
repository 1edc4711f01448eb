// Recipe of recall: what a recall is made of, as written: retrievers, at most one fusion, rerankers, joined
// by '+'.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "memory/recall/fusion.h"
#include "memory/recall/rerank.h"
#include "memory/recall/retriever.h"

namespace varve {

struct RecallPart {
  std::string name;
  double weight = 1;
  std::unique_ptr<Retriever> retriever;  // or
  std::unique_ptr<Reranker> reranker;

  // Of a retriever, for Indexes.
  std::string spec;                    // without what changes no index
  const Embedder* embedder = nullptr;  // whose vectors it holds, or null
  bool former = false;                 // of an embedder that was used before: found in, not added to
  bool complete = true;                // else it holds the cubes up to this id, and what changed since
  CubeId filled_to{};
};

struct RecallRecipe {
  std::vector<RecallPart> parts;  // the first is a retriever
  std::unique_ptr<Fusion> fusion;
};

struct RecipePorts {
  const Embedder* embedder = nullptr;  // or absent: then dense retrieval is refused by name
  Scorer* scorer = nullptr;            // or absent: then rerankers by likelihood are
};
// "default" is the shipped profile, with an embedder another than without.
Result<RecallRecipe> make_recipe(std::string_view text, const RecipePorts& ports);

}  // namespace varve
