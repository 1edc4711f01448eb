// Capacity: what fits into the budget, and the sentence that says why something does not.
#pragma once

#include "run/engine/engine.h"
#include "run/kv/nearer.h"

namespace varve {

struct Capacity {
  const Ledger& ledger;
  KvShape shape;
  KvRecipe recipe;
  bool beyond = false;  // sequences may be longer than what the model was trained for

  // The context of an engine: as asked for, or what the model was trained for as far as the budget goes.
  Result<int32_t> context(int32_t asked, int32_t trained) const;
  // over_budget when a sequence of so many tokens would not fit even with nothing else running.
  Status admits(int32_t prompt_tokens, int32_t most_tokens, int64_t request_bytes) const;
};

// How the keys of a model hold their place; nothing of it where one layer's cannot be turned.
KvPositions positions_of(const Model& model);

}  // namespace varve
