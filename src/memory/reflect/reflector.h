// Reflector: a turn to a plan of memory operations. It sees a Writer, never a model; what it may read, it
// cannot change; the store applies the plan. reflect.h runs it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/ports.h"
#include "core/base/registry.h"
#include "memory/cube/cube_store.h"
#include "memory/recall/recall.h"

namespace varve {

struct Turn {
  std::string session;
  int32_t index = 0;
  std::string space;
  std::string user, assistant;                      // what was said, without recalled words
  std::string speaker = "user";                     // of the user's words: "user" or a person's name
  TimeMs time = 0;                                  // when it was said; never when it is reflected on
  std::optional<CubeId> user_cube, assistant_cube;  // the evidence, already stored
  std::vector<Recalled> recalled;                   // what the answer could see; empty of a turn of the past
};

struct Known {  // what a reflector may read
  const CubeStore& cubes;
  const Recall& recall;
  const Embedder* embedder = nullptr;
};

class Reflector {
 public:
  virtual ~Reflector() = default;
  // `writer` may be null: a reflector without one does what it can or nothing. Any error means that nothing
  // is changed: invalid for an answer of the writer that cannot be used, else the writer's own.
  virtual Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                                Writer* writer) const = 0;
  // Of the cubes it derives: "<method>.<unit>". Erasing them all and reflecting again gives them anew.
  virtual std::vector<std::string> kinds() const { return {}; }
  // Of these, what belongs in every prompt and not only where recall finds it: a state, a portrait.
  virtual std::vector<std::string> pinned() const { return {}; }
};

const Registry<Reflector>& reflectors();
namespace reflector {
using Made = Registry<Reflector>::Made;
}

// Specs joined by '+': "amem+memorybank".
Result<std::vector<std::unique_ptr<Reflector>>> make_reflectors(std::string_view specs);

}  // namespace varve
