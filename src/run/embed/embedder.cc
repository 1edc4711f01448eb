#include "run/embed/embedder.h"

#include "run/embed/encoder_embedder.h"
#include "run/embed/hidden_embedder.h"
#include "run/embed/static_embedder.h"

namespace varve {

bool embeds_by_model(std::string_view what) {
  return what == "model" || what.starts_with("model:");
}

Result<std::unique_ptr<Embedder>> open_embedder(const std::string& what, const EmbedderParts& parts) {
  if (embeds_by_model(what)) {
    if (parts.engine == nullptr)
      return Status(Code::invalid, "there is no model that could embed; give --model");
    return make_hidden_embedder(what, *parts.engine);
  }
  if (what.ends_with(".gguf"))
    return open_encoder_embedder(parts.env, what, parts.ledger, {.threads = parts.threads});
  if (!what.ends_with(".safetensors")) return open_static_embedder(parts.env, what, parts.ledger);
  const size_t slash = what.rfind('/');
  return open_static_embedder(parts.env, slash == std::string::npos ? "." : what.substr(0, slash),
                              parts.ledger);
}

}  // namespace varve
