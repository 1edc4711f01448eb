// The tools that a model is offered. Each is a name, words for the model, the schemas of what goes in and
// comes out, and a function.
#pragma once

#include <span>
#include <string_view>

#include "serve/mcp/peer.h"

namespace varve {

struct McpTool {
  std::string_view name, title, description;
  std::string_view input, output;  // JSON schemas
  bool writes = false, destroys = false;
  Result<Json> (*run)(const McpCaller& caller, const Json& arguments);
};

std::span<const McpTool> mcp_tools();
const McpTool* find_mcp_tool(std::string_view name);
Json mcp_tool_json(const McpTool& tool);  // as tools/list shows it

// For the tools themselves. What is no id names nothing: not_found.
Result<CubeId> mcp_memory_id(const Json& arguments);
// The memory after a change; where a version was stale, a conflict that says its words of now.
Result<Json> mcp_revised(const McpCaller& caller, CubeId id, Result<uint32_t> revised);
std::span<const McpTool> mcp_govern_tools();
constexpr std::string_view kMcpMemory = R"({"type":"object","properties":{"id":{"type":"string"},
"version":{"type":"integer"},"space":{"type":"string"},"kind":{"type":"string"},
"recorded_at":{"type":"string"}},
"required":["id","version","space"]})";

// Runs a tool: the "result" of tools/call. What goes wrong inside is a result too, with isError.
Json run_mcp_tool(const McpTool& tool, const McpCaller& caller, const Json& arguments);

// Memories as resources, varve://memory/ID: the results of resources/list and resources/read.
Result<Json> list_mcp_resources(const McpCaller& caller, const Json& params);
Result<Json> read_mcp_resource(const McpCaller& caller, const Json& params);

}  // namespace varve
