// How a neuron file is laid out; for its reader and its writer.
#pragma once

#include <string>

#include "core/io/env.h"

namespace varve::neurons {

inline constexpr const char *kModel = "varve.neurons.model", *kGated = "varve.neurons.gated";

inline std::string rows_name(int64_t layer) {
  return "blk." + std::to_string(layer) + ".ffn_neurons";
}
// One a neuron, then one of all of these, by which a layer is done.
inline std::string sums_name(int64_t layer) {
  return rows_name(layer) + ".sums";
}
inline int64_t whole_blocks(int64_t bytes) {
  return (bytes + kDirectBytes - 1) / kDirectBytes * kDirectBytes;
}

}  // namespace varve::neurons
