// What a model file is known by, without opening the model.
#pragma once

#include "core/base/hash.h"
#include "core/format/gguf.h"

namespace varve {

// As Model::fingerprint() of the same file.
Hash256 model_fingerprint(std::span<const std::byte> file, const Gguf& gguf);

}  // namespace varve
