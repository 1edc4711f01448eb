// A model with an adapter worked into its weights, as a file of its own: the base's file, byte for byte, but
// for the tensors that the adapter changes. Those keep their number format and pass a few rows at a time, so
// that a model larger than the budget can be merged.
#pragma once

#include "memory/parametric/low_rank.h"

namespace varve {

// invalid: the adapter was made for another model, or does not fit it. The result is another model: adapters
// of the base refuse it.
Status merge_low_rank(Env& env, const std::string& base, const std::string& adapter, const std::string& out,
                      Ledger& ledger);

}  // namespace varve
