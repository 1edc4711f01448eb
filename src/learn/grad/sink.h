// The waist of learning: a linear map's gradient is D^T X, of the rows it read and the slopes of what it
// wrote. Backward emits the pair; a Sink decides what becomes of it. Nothing else ever asks for a gradient.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "math/ops/train.h"

namespace varve {

// A tensor that learns: f32, row-major, owned by whoever made the leaf. Addressed by role.
struct Part {
  std::string role;            // "blk.3.ffn_down", "blk.3.ffn_down.lora_a"
  int32_t rows = 0, cols = 0;  // a vector is 1 x n
  std::span<float> value;
  int32_t index = 0;       // in the order of the network's parts
  bool over_base = false;  // without it the model is what it was
  int64_t settles = 0;     // > 0: its rows stop learning one by one, the last first, all by this step

  int64_t size() const { return int64_t(rows) * cols; }
  Matrix matrix() const { return matrix(0, rows); }
  Matrix matrix(int32_t first, int32_t count) const;
};

class Sink {
 public:
  virtual ~Sink() = default;
  // What the rows [first_row, first_row + d.width) of the part are told: the gradient is d^T x.
  virtual Status take(TrainOps& train, const Part& part, int32_t first_row, Rows x, Rows d) = 0;
  // An embedding: row rows[i] gets factor * d[i].
  virtual Status take_rows(TrainOps& train, const Part& part, std::span<const int32_t> rows, float factor,
                           Rows d) = 0;
  virtual Status take_vector(const Part& part, std::span<const float> gradient) = 0;
  virtual Status done(int32_t) { return {}; }   // nothing more comes of this layer in this batch
  virtual int32_t lowest() const { return 0; }  // layer that learns: below, and in the embedding, none does
};

}  // namespace varve
