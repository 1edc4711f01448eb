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

// Writes the file of neurons beside a model (run/weights/neurons.h). unsupported: its feed-forward networks
// are not of the ReLU family, so that no neuron is ever idle.
Status write_neurons(Env& env, const std::string& path, Ledger& ledger, const NeuronProgress& progress = {});

}  // namespace varve
