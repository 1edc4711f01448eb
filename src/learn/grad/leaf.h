// Leaf: a weight as an expression. The model's rows pass it like a matrix; which part of it learns, if any,
// and what that costs, is its own business.
#pragma once

#include <memory>
#include <string_view>

#include "core/budget/buffer.h"
#include "learn/grad/sink.h"
#include "run/weights/weight_store.h"

namespace varve {

// What one op works with: threads, and an arena that it leaves as it found it.
struct Flow {
  TrainOps& train;
  Scratch& scratch;
  bool base = false;  // what learns over a base is left out
};

class Leaf {
 public:
  virtual ~Leaf() = default;
  virtual int32_t rows() const = 0;
  virtual int32_t cols() const = 0;
  virtual Status forward(Flow& flow, Rows x, Rows y, bool add) const = 0;  // y (+)= x w^T
  // dx (+)= d w, and a pair for each part that learns. x is what forward() read.
  virtual Status backward(Flow& flow, Rows x, Rows d, Rows dx, bool add, Sink& sink) const = 0;
  virtual std::span<Part* const> parts() const { return {}; }
  virtual int64_t scratch_bytes(int32_t) const { return 0; }  // by rows
  // Rows of the weight as a matrix, for the embedding and the head; null where the expression is none.
  virtual Result<WeightPin> rows_of(int32_t first, int32_t count) const = 0;
  // out[i] = the weight's row rows[i].
  virtual Status gather(Flow& flow, std::span<const int32_t> rows, Rows out) const;
};

// A norm's weight or a bias: frozen, learning or absent.
struct Vector {
  WeightPin frozen;
  const Part* part = nullptr;
  Matrix matrix() const { return part != nullptr ? part->matrix() : *frozen; }
  bool empty() const { return part == nullptr && (*frozen).empty(); }
};

struct KvGates;  // learn/grad/kv_gate.h

// Where a network gets its weights. `role` as in WeightStore.
class LeafSource {
 public:
  virtual ~LeafSource() = default;
  // Not null: a gate over KV learns, of leaves "blk.3.kv_gate" and vectors "blk.3.kv_gate.bias".
  virtual KvGates* kv_gates() { return nullptr; }
  virtual bool has(std::string_view role) const = 0;
  virtual Result<std::unique_ptr<Leaf>> leaf(std::string_view role, int32_t rows, int32_t cols) = 0;
  virtual Result<Vector> vector(std::string_view role, int32_t width) = 0;
};

std::unique_ptr<Leaf> dense_leaf(Part& part);  // all of it learns
std::unique_ptr<Leaf> frozen_leaf(const WeightStore& store, WeightId id);
// base + scale * b a, with a [r][cols] and b [rows][r] (Hu et al. 2021); both learn.
std::unique_ptr<Leaf> low_rank_leaf(std::unique_ptr<Leaf> base, Part& a, Part& b, float scale);

}  // namespace varve
