// Batches: what a lesson reads. A batch is a function of its place - step and part - so that a lesson that
// was interrupted needs no cursor to go on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"

namespace varve {

struct TextBatch {
  std::vector<int32_t> tokens, targets;  // target -1: nothing to learn
  std::vector<int32_t> starts;           // first rows of the documents
  std::vector<float> weights;            // 0 where there is no target; the lesson divides by their sum
  void clear() {
    for (auto* one : {&tokens, &targets, &starts}) one->clear();
    weights.clear();
  }
};

class Batches {
 public:
  virtual ~Batches() = default;
  virtual int32_t rows() const = 0;   // of a batch, at most
  virtual int64_t count() const = 0;  // of different batches, or pairs
  virtual Status fill(int64_t step, int32_t part, TextBatch& out) const = 0;
};

// A place in a random order of [0, n) that visits each once; another order for each round.
uint64_t shuffled(uint64_t seed, uint64_t place, uint64_t n);

// Windows of a long run of tokens, in random order. A token `separator` ends a document.
class TokenWindows : public Batches {
 public:
  struct Shape {
    int32_t length = 512, sequences = 4;  // of a batch
    int32_t parts = 1;                    // batches a step
    int32_t separator = -1;
    uint64_t seed = 1;
    bool in_order = false;  // for evaluation: the first windows
  };
  TokenWindows(std::span<const int32_t> tokens, Shape shape) : tokens_(tokens), shape_(shape) {}
  int32_t rows() const override { return shape_.length * shape_.sequences; }
  int64_t count() const override { return windows() / shape_.sequences; }
  int64_t windows() const { return (int64_t(tokens_.size()) - 1) / shape_.length; }
  Status fill(int64_t step, int32_t part,
              TextBatch& out) const override;  // invalid: too few tokens for a window

 private:
  std::span<const int32_t> tokens_;
  Shape shape_;
};

}  // namespace varve
