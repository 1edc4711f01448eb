// The Model Context Protocol without a transport: one JSON-RPC message to those that answer it. Versions
// 2024-11-05, 2025-03-26 and 2025-06-18. Whose words arrive here is untrusted: every argument is read once,
// typed and in its range, and rights are the store's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/format/json.h"
#include "serve/home/home.h"

namespace varve {

struct McpCaller {  // who speaks, and with what
  Home& home;
  Principal who;
  bool may_write = true;
};

struct McpState {                    // of one session; whoever keeps it answers one message at a time
  std::string version;               // agreed by initialize; empty: not yet
  std::optional<std::string> level;  // least severe message that the client wants to hear of
};

// Answers a message, or a batch where the agreed version has them. What comes out is in order: notifications,
// then one response (of a batch one array of responses). Empty: nothing was asked.
std::vector<Json> mcp_answer(const McpCaller& caller, McpState& state, const Json& message);
// The same for bytes: what is no JSON is answered with a parse error.
std::vector<Json> mcp_answer_text(const McpCaller& caller, McpState& state, std::string_view text);

bool mcp_knows_version(std::string_view version);
bool mcp_is_initialize(const Json& message);

// A JSON-RPC error; `id` null when it is not known.
Json mcp_error(const Json& id, int code, std::string_view message);
inline constexpr int kParseError = -32700, kInvalidRequest = -32600, kNoMethod = -32601,
                     kInvalidParams = -32602, kInternalError = -32603, kNoResource = -32002;

}  // namespace varve
