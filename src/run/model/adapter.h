// Adapter: what a parametric cube adds to a model, weight by weight. One class a kind of delta.
#pragma once

#include "math/ops/ops.h"
#include "run/weights/weight_store.h"

namespace varve {

class Delta {
 public:
  virtual ~Delta() = default;
  // y += strength * delta(x); y holds what the weight alone gave, without its bias.
  virtual void add(Ops& ops, Scratch& scratch, Rows x, Rows y, float strength) const = 0;
  virtual int64_t scratch_bytes(int32_t rows) const = 0;
};

class Adapter {
 public:
  virtual ~Adapter() = default;
  virtual const Delta* on(WeightId id) const = 0;  // null: this weight is untouched
};

}  // namespace varve
