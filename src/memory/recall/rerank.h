// Reranker: a later look at what retrievers found together. It sees places in conversations, never words.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "memory/recall/index/key_table.h"
#include "memory/recall/retriever.h"

namespace varve {

// Where each cube was said: (space, session, turn), both ways, in about 50 bytes a cube.
class Places {
 public:
  void add(const CubeHeader& header);
  void remove(CubeId id);
  // The cubes `distance` turns before (negative) or after this one in its session; several may share a turn.
  std::vector<CubeId> beside(CubeId id, int32_t distance) const;
  int64_t bytes() const;

 private:
  using Said = std::pair<int32_t, uint32_t>;  // turn, slot
  using Session = std::pair<std::string, std::string>;
  using Sessions = std::map<Session, std::vector<Said>>;
  struct Place {
    Sessions::iterator session;
    int32_t turn = 0;
  };
  KeyTable<CubeId> ids_;
  std::vector<Place> where_;  // by slot of ids_
  Sessions sessions_;         // each ascending
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
