// Reranker: a later look at what retrievers found together. It sees places in conversations, never words.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "memory/recall/retriever.h"

namespace varve {

// Where each cube was said: (space, session, turn), both ways.
class Places {
 public:
  void add(const CubeHeader& header);
  void remove(CubeId id);
  // The cubes `distance` turns before (negative) or after this one in its session; several may share a turn.
  std::vector<CubeId> beside(CubeId id, int32_t distance) const;
  int64_t bytes() const { return int64_t(where_.size()) * 256; }

 private:
  using Place = std::tuple<std::string, std::string, int32_t>;
  std::map<CubeId, Place> where_;
  std::multimap<Place, CubeId> at_;
};

class Reranker {
 public:
  virtual ~Reranker() = default;
  virtual void rerank(const Places& places, std::vector<Hit>& hits) const = 0;  // best first, in and out
};

const Registry<Reranker>& rerankers();
namespace reranker {
using Made = Registry<Reranker>::Made;
}

}  // namespace varve
