// StackDelta: what Adapter::on() gives for a weight that is a stack of matrices, the experts of a layer: a
// delta for each of them, which sees the rows that its expert gets.
#pragma once

#include "run/model/adapter.h"

namespace varve {

class StackDelta : public Delta {
 public:
  virtual const Delta* of(int32_t matrix) const = 0;  // null: this one is untouched
  void add(Ops&, Scratch&, Rows, Rows, float) const final {}
  int64_t scratch_bytes(int32_t) const override { return 0; }
};

}  // namespace varve
