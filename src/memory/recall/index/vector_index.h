// VectorIndex: the nearest of many vectors by their inner product with a query (cosine, as embeddings have
// length 1). Derived bytes only: what is damaged is dropped and built again. Externally synchronised;
// searches may run side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/registry.h"
#include "core/budget/ledger.h"
#include "core/io/env.h"
#include "memory/recall/index/snapshot.h"

namespace varve {

// Where an index lives: what the specs of the registry cannot say. Without an env all stays in RAM.
struct IndexGround {
  Ledger* ledger = nullptr;  // null: nothing is booked (tests)
  Env* env = nullptr;
  std::string folder;  // its own files there begin with `name`
  std::string name;
  size_t width = 0;
};

class VectorIndex {
 public:
  struct Near {
    uint32_t slot = 0;
    float score = 0;
  };
  using Visit = std::function<Status(uint32_t slot, std::span<const float> vector)>;

  virtual ~VectorIndex() = default;
  // Once, before all else. Begins empty.
  virtual Status settle(const IndexGround& ground) = 0;
  // A slot that is not there. over_budget: nothing changed.
  virtual Status add(uint32_t slot, std::span<const float> vector) = 0;
  // From memory and from every file before it returns; one that is not there is ignored.
  virtual void remove(uint32_t slot) = 0;
  virtual Result<std::vector<Near>> search(std::span<const float> query, int32_t k) const = 0;  // best first
  // Every vector, as well as it is kept, in any order.
  virtual Status each(const Visit& visit) const = 0;
  virtual size_t size() const = 0;
  virtual int64_t bytes() const = 0;                           // of RAM, all of it booked by the index itself
  virtual bool owns(std::string_view) const { return false; }  // a file of the folder that is still of use
  // What load() needs beside the index's own files. load() is called on an empty index; when it fails the
  // index is of no use and is thrown away.
  virtual Status save(SnapshotWriter& out) const = 0;
  virtual Status load(SnapshotReader& in) = 0;
};

const Registry<VectorIndex>& vector_indexes();
namespace vector_index {
using Made = Registry<VectorIndex>::Made;
}

// scores[i] = row i . query; rows of f32 or f16 (math/kernel/format.h), one after another.
void dot_rows(bool half, const void* rows, size_t count, std::span<const float> query, float* scores);
// Keeps the k best: higher scores, then lower slots. Best first when sorted.
void keep_best(std::vector<VectorIndex::Near>& all, int32_t k);

}  // namespace varve
