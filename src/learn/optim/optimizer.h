// Optimizer: a rule that turns gradients into steps, with a state whose bytes are known before the first one.
// One file a rule, one line in all.def.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "core/base/registry.h"
#include "core/base/rng.h"

namespace varve {

struct ParamShape {  // row-major; a vector is 1 x n
  int32_t rows = 1, cols = 0;
  int64_t size() const { return int64_t(rows) * cols; }
};

struct StepAt {
  int64_t step = 1;           // the first is 1
  float rate = 0, decay = 0;  // decay: of the weight, per unit of rate
  uint64_t seed = 0;
  uint64_t place = 0;     // of the values among all that learn: where random numbers differ
  std::span<float> work;  // work_bytes() of room, full of anything
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // True: values know nothing of each other, and a parameter may be cut into runs of kRun and stepped in
  // pieces, each with a state of its own.
  virtual bool element_by_element() const { return true; }
  static constexpr int32_t kRun = 1 << 15;
  virtual int64_t state_bytes(ParamShape shape) const = 0;
  virtual int64_t work_bytes(ParamShape) const { return 0; }  // while it steps
  // A state begins as zeros and belongs to one parameter; it is all that lasts, and what a checkpoint holds.
  virtual void step(ParamShape shape, std::span<float> param, std::span<const float> gradient,
                    std::span<std::byte> state, const StepAt& at) const = 0;
};

const Registry<Optimizer>& optimizers();

namespace optim {  // one file a rule, one line in all.def
using Made = Registry<Optimizer>::Made;

inline std::span<float> floats(std::span<std::byte> state) {
  return {reinterpret_cast<float*>(state.data()), state.size() / 4};
}
}  // namespace optim

}  // namespace varve
