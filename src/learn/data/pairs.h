// Pairs of answers as batches: each sequence is a batch of its own, the chosen before its rejected.
#pragma once

#include "learn/data/feed.h"

namespace varve {

class PairedFeed : public Batches {
 public:
  // A feed that is paired().
  PairedFeed(const Feed& feed, int32_t pairs_a_step, uint64_t seed);
  int32_t rows() const override { return rows_; }  // of the longest sequence
  int64_t count() const override { return int64_t(feed_.size() / 2); }
  // part 2 i is the chosen answer of the step's pair i, 2 i + 1 the rejected.
  Status fill(int64_t step, int32_t part, TextBatch& out) const override;

 private:
  const Feed& feed_;
  int32_t pairs_a_step_, rows_ = 0;
  uint64_t seed_;
};

}  // namespace varve
