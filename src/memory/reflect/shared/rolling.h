// Rolling: a state of bounded length that is rewritten as a conversation goes on. The evidence stays; the
// state is one cube, its past its versions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "memory/reflect/derive.h"

namespace varve {

struct Rewriting {
  std::string_view words;  // what the state is to be
  std::string old;         // as it was, or empty
  Json fresh;              // what happened since, for a writer
  std::string said;        // the same as text
  int lines = 8;           // at most
};
// The new state, a line each: the writer's, or without one the densest sentences of old and new.
Result<std::string> rewritten(const Rewriting& state, Writer* writer);

// What was said in the turn's session in the last `count` turns, this one included, oldest first; and where.
struct Stretch {
  std::string words;
  std::vector<Source> from;
};
Result<Stretch> segment_of(const Principal& who, const Turn& turn, const Known& known, int32_t count);

// The plan that makes `text` the state: a cube of this kind for the session (or, without one, the space), or
// a version of it. Nothing when nothing changes.
std::vector<MemoryOp> become(const Turn& turn, std::string_view kind, const std::optional<Unit>& old,
                             std::string text, std::vector<Source> from);

}  // namespace varve
