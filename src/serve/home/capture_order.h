// A capture as it is asked for over HTTP and MCP: {"memories": [ids], "title"?, "space"?, "system"?,
// "fidelity"?}.
#pragma once

#include "core/format/json.h"
#include "serve/home/home.h"

namespace varve {

// The model reads the memories once, for every chat that begins with them: {"id", "tokens", "bytes",
// "fidelity"}. unsupported: no model reads here.
Result<Json> capture_memories(Home& home, const Principal& who, const Json& order);

}  // namespace varve
