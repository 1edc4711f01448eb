// What an engine reads out of prompts - hidden states, scores - asked for and waited for.
#pragma once

#include <vector>

#include "run/engine/engine.h"

namespace varve {

// The result of each request, in order. All of them run side by side; the first that fails ends the others.
// cancelled: the engine ended, or `most_ms` (0: for ever) went by.
Result<std::vector<std::vector<float>>> read_out(Engine& engine, std::vector<Request> requests,
                                                 int64_t most_ms = 0);

}  // namespace varve
