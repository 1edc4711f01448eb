// Cubes and receipts as JSON: one shape for the command line, and one for the API and MCP.
#pragma once

#include "core/format/json.h"
#include "memory/cube/cube_store.h"
#include "memory/recall/recall.h"

namespace varve {

Json to_json(const CubeHeader& header);
Json to_json(const EraseReceipt& receipt);
void merge(EraseReceipt& all, EraseReceipt next);  // `next` came later: its place in the journal counts
// Of an array of receipts: what is there although they say that it is gone; a line each.
Result<std::vector<std::string>> verify_receipts(CubeStore& cubes, const Principal& who,
                                                 const Json& receipts);

// A memory as HTTP and MCP show it; with its words when it has any.
Json memory_json(const CubeHeader& header);
Result<Json> memory_json(const CubeStore& cubes, const Principal& who, const CubeHeader& header);
Json recalled_json(const Recalled& one);        // with every score
Json aggregate_json(const Aggregate& counted);  // with ids for its evidence

// "event_at": "2024-05-08" of a request; absent leaves `out` as it is.
Status read_time(const Json& body, std::string_view key, std::optional<TimeMs>& out);
// "supersedes", "contradicts": ids of what a new memory takes the place of, or cannot be true beside.
Status read_rivals(const Json& body, CubeHeader& header);
Status check_words(std::string_view text);  // invalid: there are none

}  // namespace varve
