// Filter: mem0's filter language over a memory's JSON: {"AND": [{"agent_id": "a"}, {"created_at": {"gte":
// "2024-07-01"}}]}, with OR, NOT, in, eq, ne, gt, gte, lt, lte, contains, icontains and "*".
#pragma once

#include "core/format/json.h"

namespace varve {

Status check_filter(const Json& filter);  // invalid names what cannot be understood
// Only of a filter that was checked. A field that the memory lacks is looked for in its "metadata".
bool passes(const Json& filter, const Json& memory);

}  // namespace varve
