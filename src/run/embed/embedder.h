// Which embedder a setting names.
#pragma once

#include <memory>
#include <string>

#include "core/base/ports.h"
#include "core/io/env.h"
#include "run/engine/engine.h"

namespace varve {

struct EmbedderParts {
  Env& env;
  Ledger& ledger;
  Engine* engine;       // null without a model
  int32_t threads = 0;  // 0: all cores
};

// Whether it is the running model that reads: then the engine must be there first.
bool embeds_by_model(std::string_view what);
// `what`: a folder of a static table or its .safetensors file, a .gguf file of an embedding model, or "model"
// with the options of make_hidden_embedder().
Result<std::unique_ptr<Embedder>> open_embedder(const std::string& what, const EmbedderParts& parts);

}  // namespace varve
