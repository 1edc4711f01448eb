// A model whose weights learnt, as a file: that of the base, tensor for tensor in its own number formats, and
// in its metadata how it was made ("varve.lesson"). What learnt passes a few rows at a time.
#pragma once

#include "core/format/json.h"
#include "learn/grad/parts.h"

namespace varve {

// `lesson` may be null.
Status rewrite_model(Env& env, const std::string& base, const Parts& parts, const Json& lesson,
                     const std::string& out, Ledger& ledger);

}  // namespace varve
