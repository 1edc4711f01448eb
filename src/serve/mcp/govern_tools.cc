// The tools that look at what memory was, and at what contradicts in it, and the one that has the model read
// memories ahead. Rules of spaces and rights are not for a model to change: list_spaces only shows them.
#include "serve/home/capture_order.h"
#include "serve/home/fields.h"
#include "serve/home/govern.h"
#include "serve/home/show.h"
#include "serve/mcp/tools.h"

namespace varve {
namespace {

constexpr int32_t kAnyVersion = std::numeric_limits<int32_t>::max();

Result<Json> diff(const McpCaller& caller, const Json& arguments) {
  int32_t from = 0, to = 0;
  TRY(Fields(arguments).integer("from", from, 1, kAnyVersion).integer("to", to, 1, kAnyVersion).done());
  const CubeId id = TRY(mcp_memory_id(arguments));
  return diff_json(caller.home.cubes(), caller.who, id, uint32_t(from), uint32_t(to));
}

Result<Json> restore(const McpCaller& caller, const Json& arguments) {
  const CubeId id = TRY(mcp_memory_id(arguments));
  int32_t version = 0, base = 0;
  std::string why;
  TRY(Fields(arguments)
          .integer("version", version, 1, kAnyVersion)
          .integer("base", base, 1, kAnyVersion)
          .text("why", why, kMaxWhyBytes)
          .done());
  if (version == 0) return Status(Code::invalid, "'version' must say which one comes back");
  CubeStore& cubes = caller.home.cubes();
  return mcp_revised(caller, id,
                     cubes.governance().restore(caller.who, id, uint32_t(version), uint32_t(base), why));
}

Result<Json> conflicts(const McpCaller& caller, const Json& arguments) {
  std::string space;
  bool all = false;
  TRY(Fields(arguments).text("space", space, kMaxNameBytes).boolean("all", all).done());
  return Json::object().set("conflicts", TRY(conflicts_json(caller.home.cubes(), caller.who, space, all)));
}

Result<Json> settle(const McpCaller& caller, const Json& arguments) {
  std::string newer, older, verdict, why = "settled over MCP";
  TRY(Fields(arguments)
          .text("newer", newer, 64)
          .text("older", older, 64)
          .text("verdict", verdict, 16)
          .text("why", why, kMaxWhyBytes)
          .done());
  const CubeId last = TRY(mcp_memory_id(Json::object().set("id", newer))),
               first = TRY(mcp_memory_id(Json::object().set("id", older)));
  TRY(caller.home.cubes().governance().settle(caller.who, last, first, TRY(parse_verdict(verdict)), why));
  return Json::object().set("newer", newer).set("older", older).set("settled", verdict);
}

Result<Json> list_spaces(const McpCaller& caller, const Json&) {
  Json spaces = Json::array();
  for (const Space& space : TRY(caller.home.cubes().governance().spaces(caller.who)))
    spaces.push(space_json(space).set("own", space.owner == caller.who.name));
  return Json::object().set("spaces", std::move(spaces));
}

Result<Json> read_ahead(const McpCaller& caller, const Json& arguments) {
  return capture_memories(caller.home, caller.who, arguments);
}

constexpr McpTool kTools[] = {
    {.name = "diff",
     .title = "Differences",
     .description = "What changed between two versions of one memory; without from and to, in the newest.",
     .input = R"({"type":"object","properties":{
"id":{"type":"string","pattern":"^[0-9a-f]{32}$","description":"The memory's id, as recall shows it"},
"from":{"type":"integer","minimum":1,"description":"The older version"},
"to":{"type":"integer","minimum":1,"description":"The newer version"}},
"required":["id"],"additionalProperties":false})",
     .output = R"({"type":"object","properties":{"from":{"type":"integer"},"to":{"type":"integer"},
"parts":{"type":"array","items":{"type":"object","properties":{
"kind":{"type":"string","enum":["same","removed","added"]},"text":{"type":"string"}},
"required":["kind","text"]}}},"required":["from","to","parts"]})",
     .run = diff},
    {.name = "restore",
     .title = "Restore",
     .description =
         "Bring an old version of a memory back, as a new version; nothing of its history is lost. "
         "With base, the version you saw, it is refused when somebody changed it meanwhile.",
     .input = R"({"type":"object","properties":{
"id":{"type":"string","pattern":"^[0-9a-f]{32}$","description":"The memory's id, as recall shows it"},
"version":{"type":"integer","minimum":1,"description":"The version that comes back"},
"base":{"type":"integer","minimum":1,"description":"The newest version that you saw"},
"why":{"type":"string","maxLength":4096,"description":"Why, for the history"}},
"required":["id","version"],"additionalProperties":false})",
     .output = kMcpMemory,
     .writes = true,
     .run = restore},
    {.name = "conflicts",
     .title = "Conflicts",
     .description = "Pairs of memories that contradict each other and that nobody has settled yet: both are "
                    "kept, and the newer holds if it is believed. Ask the user which is right, then settle.",
     .input = R"({"type":"object","properties":{
"space":{"type":"string","description":"Only this space; by default every space you may read"},
"all":{"type":"boolean","default":false,"description":"Settled ones and replacements, too"}},
"additionalProperties":false})",
     .output = R"({"type":"object","properties":{"conflicts":{"type":"array","items":{"type":"object",
"properties":{"newer":{"type":"object"},"older":{"type":"object"},"closed":{"type":"boolean"},
"open":{"type":"boolean"}},"required":["newer","older","closed","open"]}}},"required":["conflicts"]})",
     .run = conflicts},
    {.name = "settle",
     .title = "Settle a conflict",
     .description = "Say which of two memories that contradict each other holds, as the user decided: the "
                    "newer, the older, or both. Neither is erased.",
     .input = R"({"type":"object","properties":{
"newer":{"type":"string","pattern":"^[0-9a-f]{32}$"},
"older":{"type":"string","pattern":"^[0-9a-f]{32}$"},
"verdict":{"type":"string","enum":["newer","older","both"]},
"why":{"type":"string","maxLength":4096,"description":"Why, for the history"}},
"required":["newer","older","verdict"],"additionalProperties":false})",
     .output = R"({"type":"object","properties":{"newer":{"type":"string"},"older":{"type":"string"},
"settled":{"type":"string"}},"required":["newer","older","settled"]})",
     .writes = true,
     .run = settle},
    {.name = "list_spaces",
     .title = "List spaces",
     .description =
         "The spaces whose memories you may read: the user's own, and those shared with them, with "
         "your role, their size, and their rules of retention and screening.",
     .input = R"({"type":"object","properties":{},"additionalProperties":false})",
     .output = R"({"type":"object","properties":{"spaces":{"type":"array","items":{"type":"object",
"properties":{"space":{"type":"string"},"own":{"type":"boolean"},"role":{"type":"string"},
"cubes":{"type":"integer"},"cap_bytes":{"type":"integer"}},"required":["space","own","role"]}}},
"required":["spaces"]})",
     .run = list_spaces},
    {.name = "capture",
     .title = "Read ahead",
     .description =
         "Have the local model read some memories once and keep what it computed, so that conversations that "
         "begin with them start to answer at once. For long memories that are used again and again.",
     .input = R"({"type":"object","properties":{
"memories":{"type":"array","minItems":1,"maxItems":1000,"items":{"type":"string"},
"description":"Ids, in the order in which they are read"},
"title":{"type":"string"},"space":{"type":"string","description":"By default the user's own"},
"system":{"type":"string","description":"The system's words in the prompts that are to begin with it"},
"fidelity":{"type":"string","enum":["exact","rerotated","patched"],"default":"exact",
"description":"How far from reading the kept state may be"}},
"required":["memories"],"additionalProperties":false})",
     .output = R"({"type":"object","properties":{"id":{"type":"string"},"tokens":{"type":"integer"},
"bytes":{"type":"integer"},"fidelity":{"type":"string"}},"required":["id","tokens","bytes","fidelity"]})",
     .writes = true,
     .run = read_ahead},
};

}  // namespace

std::span<const McpTool> mcp_govern_tools() {
  return kTools;
}

}  // namespace varve
