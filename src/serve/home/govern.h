// Governance in JSON: spaces, their rules, conflicts and differences, in one shape for the command line, the
// API and MCP.
#pragma once

#include "core/format/json.h"
#include "memory/cube/governance.h"

namespace varve {

Result<uint8_t> parse_rights(std::string_view role);  // reader, writer, admin, none: bits of Right
Json space_json(const Space& space);                  // with its rules
Result<Json> grants_json(Governance& govern, const Principal& who, const std::string& space);
// Takes what is said of "cap_bytes", "evicted" (archived, dropped), "evidence_evicted", "half_life_days",
// "secrets", "personal" (allow, redact, refuse); what is not said stays.
Status read_rules(const Json& body, SpaceRules& rules);

// {"from", "to", "why", "parts": [{"kind": "same" | "removed" | "added", "text"}]}; 0: the newest version,
// and the one before it.
Result<Json> diff_json(const CubeStore& cubes, const Principal& who, CubeId id, uint32_t from, uint32_t to);

Json entry_json(const JournalEntry& entry);

// {"newer", "older": memories, "closed", "open"}.
Result<Json> conflicts_json(CubeStore& cubes, const Principal& who, const std::string& space, bool all);

}  // namespace varve
