// Block: one layer of a model over the rows of several sequences at once. Forward here; backward joins it in
// the same file when the block learns.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "math/ops/ops.h"
#include "run/kv/kv_cache.h"
#include "run/model/adapter.h"
#include "run/weights/weight_store.h"

namespace varve {

class NeuronChoice;  // run/model/choose/chooser.h

struct Segment {  // rows [first, first + rows) of a step belong to one sequence
  int32_t first = 0, rows = 0;
  KvCache* kv = nullptr;
  const Adapter* adapter = nullptr;  // may be null
  NeuronChoice* neurons = nullptr;   // which of them its rows pass; null: all
};

struct Step {
  Rows x;                              // [rows][width], updated in place
  std::span<const int32_t> positions;  // one a row
  std::span<const Segment> segments;   // ascending, covering all rows
  Ops& ops;
  Scratch& scratch;
};

class Block {
 public:
  virtual ~Block() = default;
  virtual std::span<const WeightId> weights() const = 0;  // for WeightStore::hint
  virtual Status forward(Step& step) const = 0;
  virtual int64_t scratch_bytes(int32_t rows) const = 0;
};

}  // namespace varve
