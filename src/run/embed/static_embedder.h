// StaticEmbedder: a table of token vectors, no layers (model2vec format: model.safetensors with a tensor
// "embeddings", tokenizer.json). A text is the weighted mean of its tokens' vectors, scaled to length 1:
// microseconds a text, and exact recall of what the table knows.
#pragma once

#include <memory>
#include <string>

#include "core/base/ports.h"
#include "core/budget/ledger.h"
#include "core/io/env.h"

namespace varve {

// `folder` holds the files. not_found names the missing one. The table is booked under Tag::index; one for
// which there is no room stays on disk, and its rows are read as they are asked for. Of a text the first 512
// tokens count, as where the format comes from.
Result<std::unique_ptr<Embedder>> open_static_embedder(Env& env, const std::string& folder, Ledger& ledger);

}  // namespace varve
