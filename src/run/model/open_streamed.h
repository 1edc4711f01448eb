// Models whose weights stay in their file.
#pragma once

#include "run/model/model.h"
#include "run/weights/neurons.h"

namespace varve {

// As open_model(); of the weights, so many bytes are kept in memory: see open_streamed_weights().
Result<std::shared_ptr<const Model>> open_streamed_model(Env& env, const std::string& path, Ledger& ledger,
                                                         int64_t keep_bytes);

// As open_model(), for a model that does not fit: see open_planned_weights(). Nothing stays in memory until
// weights().streaming()->keep().
Result<std::shared_ptr<const Model>> open_planned_model(Env& env, const std::string& path, Ledger& ledger);
// The same for sequences that choose their neurons (run/model/choose).
Result<std::shared_ptr<const Model>> open_planned_model(Env& env, const std::string& path, Ledger& ledger,
                                                        NeuronUse use);

// Writes the file of neurons beside a model (run/weights/neurons.h). whole: with the gate's rows; sketch: of
// whole ones, the format of the gate's sketch. unsupported: its feed-forward networks are not of the ReLU
// family, so that no neuron is ever idle, and whole ones are not asked for.
struct NeuronWords {
  bool whole = false;
  const Codec* sketch = nullptr;
};
Status write_neurons(Env& env, const std::string& path, Ledger& ledger, const NeuronProgress& progress = {},
                     NeuronWords words = {});

}  // namespace varve
