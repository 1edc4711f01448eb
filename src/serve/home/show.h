// Cubes and receipts as JSON: one shape for the command line and the API.
#pragma once

#include "core/format/json.h"
#include "memory/cube/cube_store.h"

namespace varve {

Json to_json(const CubeHeader& header);
Json to_json(const EraseReceipt& receipt);

}  // namespace varve
