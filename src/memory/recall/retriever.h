// Retriever: a way to find cubes by a query. Derived data only: it may be thrown away and rebuilt from the
// store. Externally synchronised (Recall holds the lock).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ports.h"
#include "core/base/registry.h"
#include "core/budget/ledger.h"
#include "core/io/env.h"
#include "memory/cube/cube.h"
#include "memory/recall/index/snapshot.h"
#include "memory/recall/query/when.h"

namespace varve {

struct Query {
  std::string_view text;
  std::span<const float> vector;        // of the text, or empty
  std::span<const std::string> spaces;  // only cubes of these are found
  std::optional<TimeMs> as_of;          // valid then; default: valid now
  TimeMs reference = 0;                 // what "yesterday" is counted from
  std::span<const TimeRange> times;     // that the text speaks of, where already known
};

struct Hit {
  CubeId id;
  float score = 0;
};

struct RetrieverGround {  // where it lives; without an env all of it stays in RAM
  Ledger* ledger = nullptr;
  const Embedder* embedder = nullptr;  // of words; or absent
  Env* env = nullptr;
  std::string folder;
  std::string name;  // its own files there begin so
};

class Retriever {
 public:
  virtual ~Retriever() = default;
  virtual bool reads_vectors() const { return false; }          // what it holds is of one embedder
  virtual Status settle(const RetrieverGround&) { return {}; }  // once, before all else
  virtual Status add(const CubeHeader& header, std::string_view text, std::span<const float> vector) = 0;
  virtual void remove(CubeId id) = 0;
  virtual Result<std::vector<Hit>> search(const Query& query, int32_t k) const = 0;  // scores descend
  virtual int64_t bytes() const = 0;
  virtual int64_t booked() const { return 0; }                 // of them: what it reserved itself
  virtual bool sound() const { return true; }                  // false: a part was lost, build it anew
  virtual bool owns(std::string_view) const { return false; }  // a file of its own that is still of use
  // What it is made of, without a word of any text. One that cannot is built anew from the store. A load that
  // fails leaves it unfit for use.
  virtual Status save(SnapshotWriter&) const { return Status(Code::unsupported, "kept in RAM alone"); }
  virtual Status load(SnapshotReader&) { return Status(Code::unsupported, "kept in RAM alone"); }
};

const Registry<Retriever>& retrievers();
namespace retriever {
using Made = Registry<Retriever>::Made;
}

}  // namespace varve
