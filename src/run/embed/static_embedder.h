// StaticEmbedder: a table of token vectors, no layers (model2vec format: model.safetensors with a tensor
// "embeddings", tokenizer.json, config.json). A text is the mean of its tokens' vectors, scaled to length 1:
// microseconds a text, and exact recall of what the table knows.
#pragma once

#include <memory>
#include <string>

#include "core/base/ports.h"
#include "core/budget/ledger.h"
#include "core/io/env.h"

namespace varve {

// `folder` holds the three files. not_found names the missing one; the table is booked under Tag::index.
Result<std::unique_ptr<Embedder>> open_static_embedder(Env& env, const std::string& folder, Ledger& ledger);

}  // namespace varve
