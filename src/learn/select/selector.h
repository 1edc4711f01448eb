// Selector: which layers learn in a step. What learns outside of them - embedding, head, last norm - always
// does. A layer that rests has no gradients, and no optimizer state unless the selector says so: what it had
// is given up, and when its turn comes again it begins with nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/base/registry.h"
#include "core/base/rng.h"

namespace varve {

struct Occasion {
  int64_t step = 1;  // the first is 1
  uint64_t seed = 0;
  // The loss of this step's first batch when only the adapters of these layers speak up, the others at a
  // quarter of their strength. Null where that cannot be.
  std::function<Result<double>(std::span<const uint8_t>)> ask;
};

class Selector {
 public:
  virtual ~Selector() = default;
  virtual int32_t most(int32_t layers) const = 0;  // that learn at once
  // Fills `live`, of which at most most() are 1. The state begins as zeros, and a checkpoint has it.
  virtual Status choose(const Occasion& at, std::span<std::byte> state, std::span<uint8_t> live) const = 0;
  virtual int64_t state_bytes(int32_t) const { return 0; }  // by layers
  virtual bool keeps_state() const { return false; }        // the optimizer's, of layers that rest
  virtual bool asks() const { return false; }               // uses Occasion::ask
  // How far each layer moved in this step, as a part of its size; negative: it rested. Null: nobody measures.
  virtual std::function<void(std::span<const double>)> moves(std::span<std::byte>) const { return nullptr; }
};

const Registry<Selector>& selectors();

namespace select {  // one file a selector, one line in all.def
using Made = Registry<Selector>::Made;

// `count` of n, of which i is drawn before j with the odds weight[i] : weight[j]; no weights: all alike.
void draw(RngKey key, int32_t count, std::span<const double> weights, std::span<uint8_t> chosen);
}  // namespace select

}  // namespace varve
