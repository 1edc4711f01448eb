// LikelihoodScorer: how probable the running model finds the query after each text (query likelihood; Ponte &
// Croft 1998, by a language model Sachan et al. 2022). The texts run side by side as sequences of the engine
// at the priority of a reflection; what stands before all of them is computed once and shared.
#pragma once

#include <memory>

#include "core/base/ports.h"
#include "run/engine/engine.h"

namespace varve {

struct LikelihoodOptions {
  int32_t text_tokens = 256, query_tokens = 64;  // more is cut off: the end of a text, the end of a query
  int32_t texts = 64;                            // of one call; invalid beyond
  int64_t most_ms = 20000;                       // cancelled beyond
};

// The score of a text is the mean natural log of the probability of the query's tokens. invalid: a model
// without a tokenizer. The engine must outlive it; cancelled: the engine ended.
Result<std::unique_ptr<Scorer>> make_likelihood_scorer(Engine& engine, const LikelihoodOptions& options = {});

}  // namespace varve
