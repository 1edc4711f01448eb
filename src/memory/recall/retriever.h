// Retriever: a way to find cubes by a query. Derived data only: it may be thrown away and rebuilt from the
// store. Externally synchronised (Recall holds the lock).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/registry.h"
#include "memory/cube/cube.h"

namespace varve {

struct Query {
  std::string_view text;
  std::span<const float> vector;        // of the text, or empty
  std::span<const std::string> spaces;  // only cubes of these are found
  std::optional<TimeMs> as_of;          // valid then; default: valid now
};

struct Hit {
  CubeId id;
  float score = 0;
};

class Retriever {
 public:
  virtual ~Retriever() = default;
  virtual Status add(const CubeHeader& header, std::string_view text, std::span<const float> vector) = 0;
  virtual void remove(CubeId id) = 0;
  virtual Result<std::vector<Hit>> search(const Query& query, int32_t k) const = 0;  // scores descend
  virtual int64_t bytes() const = 0;
};

const Registry<Retriever>& retrievers();
namespace retriever {
using Made = Registry<Retriever>::Made;
}

}  // namespace varve
