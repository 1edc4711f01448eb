// Models whose weights stay in their file.
#pragma once

#include "run/model/model.h"

namespace varve {

// As open_model(); of the weights, so many bytes are kept in memory: see open_streamed_weights().
Result<std::shared_ptr<const Model>> open_streamed_model(Env& env, const std::string& path, Ledger& ledger,
                                                         int64_t keep_bytes);

}  // namespace varve
