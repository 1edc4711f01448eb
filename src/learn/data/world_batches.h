// Batches of a world: made as they are read, so that a lesson of any length needs no file. Items are packed
// side by side, each a document of its own; what the assistant says counts 1, all else less.
#pragma once

#include "learn/data/feed.h"
#include "learn/world/world.h"

namespace varve {

class WorldBatches : public Batches {
 public:
  struct Shape {
    int32_t rows = 4096, parts = 1;  // of a batch; batches a step
    float context = 0.1f;            // the weight of a token that nobody has to say
    FeedShape feed;                  // an item longer than feed.length is passed over
  };
  WorldBatches(const world::World& world, Shape shape) : world_(world), shape_(shape) {}
  int32_t rows() const override { return shape_.rows; }
  int64_t count() const override { return int64_t(1) << 40; }  // no end
  // invalid: no item of this world fits.
  Status fill(int64_t step, int32_t part, TextBatch& out) const override;

 private:
  void append(const Example& example, bool prose, TextBatch& out) const;
  const world::World& world_;
  Shape shape_;
};

}  // namespace varve
