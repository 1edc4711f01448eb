// Reflector: a turn to a plan of memory operations. It sees a Writer, never a model; the store applies the
// plan.
#pragma once

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
  std::string user, assistant;  // what was said, without recalled words
  TimeMs time = 0;
  std::optional<CubeId> user_cube, assistant_cube;  // the evidence, already stored
  std::vector<Recalled> recalled;                   // what the answer could see
};

class Reflector {
 public:
  virtual ~Reflector() = default;
  // `writer` may be null: a reflector without one does what it can or nothing.
  virtual Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Recall& known,
                                                Writer* writer) const = 0;
};

const Registry<Reflector>& reflectors();
namespace reflector {
using Made = Registry<Reflector>::Made;
}

}  // namespace varve
