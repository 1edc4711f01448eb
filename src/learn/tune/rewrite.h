// A model whose weights learnt, as a file: that of the base, byte for byte, but for the tensors that are
// parts. Those keep their number format and pass a few rows at a time.
#pragma once

#include "learn/grad/parts.h"
#include "run/weights/weight_store.h"

namespace varve {

Status rewrite_model(Env& env, const std::string& base, std::span<const WeightEntry> entries,
                     const Parts& parts, const std::string& out, Ledger& ledger);

}  // namespace varve
