// NeuronChooser: which neurons of a feed-forward network a sequence computes while it writes; the others are
// left out, whatever they would have added. So what it says is an approximation, and no chooser is the
// default. A prompt passes all neurons, and is shown to the chooser.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/base/registry.h"
#include "core/budget/buffer.h"
#include "math/ops/ops.h"
#include "run/weights/neurons.h"

namespace varve {

struct NeuronShape {
  int32_t layers = 0, neurons = 0;  // of each layer
};

// Rows that are about to pass a layer's network.
struct Choosing {
  Ops& ops;
  Scratch& scratch;
  int32_t layer = 0;
  Rows x;                                 // [n][width], normed
  std::optional<Neurons::Sketch> sketch;  // of the layer, where the store keeps one
  Matrix bias;                            // of the gate; may be empty
};

class NeuronChoice {  // what one sequence has settled on
 public:
  virtual ~NeuronChoice() = default;
  // Rows of the sequence passed all neurons of a layer: [n][neurons], what meets ffn_down.
  virtual void see(Ops& ops, int32_t layer, Rows values) = 0;
  // Which neurons such rows pass, ascending; empty: all of them, and they are seen.
  virtual std::vector<int32_t> choose(const Choosing& at) = 0;
  // Those of a layer that are chosen already, whatever the rows; may be empty.
  virtual std::span<const int32_t> known(int32_t) const { return {}; }
};

class NeuronChooser {
 public:
  virtual ~NeuronChooser() = default;
  virtual bool foresees() const { return false; }  // it asks for a sketch
  // over_budget: what a sequence must remember does not fit.
  virtual Result<std::unique_ptr<NeuronChoice>> begin(NeuronShape shape, Ledger& ledger) const = 0;
};

const Registry<NeuronChooser>& neuron_choosers();
// What a store is to expect of a chooser by its spec; none where that is empty.
Result<NeuronUse> neuron_use(std::string_view spec);

namespace neuron_chooser {  // one file a method, one line in choose/all.def
using Made = Registry<NeuronChooser>::Made;
}

}  // namespace varve
