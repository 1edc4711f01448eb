// A model with adapters worked into its weights, as a file of its own: the base's file, byte for byte, but
// for the tensors that they change. Those keep their number format and pass a few rows at a time, so that a
// model larger than the budget can be merged.
#pragma once

#include "memory/parametric/adapter_file.h"

namespace varve {

struct MergeShare {
  const AdapterFile& file;
  std::string name;  // for messages
  float strength = 1;
};
// What somebody needs to know of a model to read adapters for it, without opening it.
struct BaseModel {
  std::string family;
  Hash256 fingerprint;
  HeadCounts permuted;
};
Result<BaseModel> look_at_model(Env& env, const std::string& path);

// invalid: an adapter was made for another model, or does not fit it. The result is another model: adapters
// of the base refuse it.
Status merge_adapters(Env& env, const std::string& base, std::span<const MergeShare> shares,
                      const std::string& out, Ledger& ledger);

}  // namespace varve
