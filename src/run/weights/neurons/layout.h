// How a neuron file is laid out; for its reader and its writer.
#pragma once

#include <string>

#include "core/io/env.h"

namespace varve::neurons {

inline constexpr const char *kModel = "varve.neurons.model", *kGated = "varve.neurons.gated",
                            *kWhole = "varve.neurons.whole",
                            *kIdle = "varve.neurons.idle";  // of themselves: the ReLU family

inline std::string rows_name(int64_t layer) {
  return "blk." + std::to_string(layer) + ".ffn_neurons";
}
// Of whole neurons: the matrix that says who fires, in few bits, and what is wrong with each row of it.
inline std::string sketch_name(int64_t layer) {
  return rows_name(layer) + ".sketch";
}
inline std::string errors_name(int64_t layer) {
  return rows_name(layer) + ".errors";
}
// One a neuron, one of the sketch and its errors if there is one, then one of all of these, by which a layer
// is done.
inline std::string sums_name(int64_t layer) {
  return rows_name(layer) + ".sums";
}
inline int64_t whole_blocks(int64_t bytes) {
  return (bytes + kDirectBytes - 1) / kDirectBytes * kDirectBytes;
}

}  // namespace varve::neurons
